//! Whatever is done in whatever order, a cached store answers as a bare one does.
//!
//! A generated sequence of calls runs against two stores side by side, one of them behind the cache. Between the calls
//! time passes, keys are invalidated by hand, regions are switched off and on. Ids are given in the same order in both
//! stores, so that answers are compared word for word, all but the times of day.

use std::{fmt::Debug, time::Duration};

use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, ManualClock, Runtime};
use domain::{
    AgentChange, AgentConfig, AgentId, AgentName, GroupName, Image, MessageId, NewAgent,
    NewMessage, NewRoom, Picture, RecentEvent, Repositories, RoomChange, RoomId, RoomName, UserId,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// Ids that the calls name: all that are given soon, and some that never are.
const IDS: std::ops::RangeInclusive<i64> = 1..=5;
const USERS: [&str; 3] = ["admin", "guest-1", "guest-2"];
const AGENT_NAMES: [&str; 4] = ["Ada", "하늘", "Zoë", "Tomás"];
const ROOM_NAMES: [&str; 3] = ["Kitchen", "Attic", "Cellar"];

/// One step of a sequence.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most are of the large one")]
enum Step {
    /// A call, through the cache or past it.
    Call {
        call: Call,
        bypass: bool,
    },
    /// Everything is read, through the cache.
    ReadAll,
    /// Time passes.
    Pass(Duration),
    Cleanup,
    Clear,
    ClearRegion(&'static str),
    InvalidateKey(String),
    InvalidatePrefix(String),
    InvalidateGlob(String),
    InvalidateRoom(RoomId),
    InvalidateAgent(AgentId),
    Switch(&'static str, bool),
    SwitchAll(bool),
}

/// A call of a port.
#[derive(Clone, Debug)]
enum Call {
    Write(Write),
    Read(Read),
}

#[derive(Clone, Debug)]
enum Write {
    CreateAgent(NewAgent),
    AdoptAgent(String),
    UpdateAgent(AgentId, AgentChange),
    DeleteAgent(AgentId),
    SaveConfig(AgentId, AgentConfig),
    AppendMemory(AgentId, RecentEvent),
    ReloadConfig(AgentId),
    CreateRoom(NewRoom),
    CreateDirect(UserId, AgentId),
    UpdateRoom(RoomId, RoomChange),
    DeleteRoom(RoomId),
    AddMember(RoomId, AgentId),
    RemoveMember(RoomId, AgentId),
    Append(NewMessage),
    Clear(RoomId),
    Mark(UserId, RoomId),
    SaveSession(RoomId, AgentId, String),
    Settle,
}

#[derive(Clone, Debug)]
enum Read {
    Agent(AgentId),
    Agents(Vec<AgentId>),
    AllAgents,
    Config(AgentId),
    Configs(Vec<AgentId>),
    ConfigFiles,
    Picture(AgentId),
    Room(RoomId),
    Rooms(Vec<RoomId>),
    AllRooms,
    RoomsOf(UserId),
    Direct(UserId, AgentId),
    Members(RoomId),
    Activity(RoomId),
    Activities(Vec<RoomId>),
    Recent(RoomId, Option<MessageId>, usize),
    Since(RoomId, MessageId, usize),
    ByAuthors(RoomId, Vec<AgentId>, MessageId, usize),
    SinceAnswer(RoomId, AgentId, usize),
    Answers(RoomId),
    End(RoomId, usize),
    Images(RoomId, Vec<MessageId>),
    Position(UserId, RoomId),
    Positions(UserId, Vec<RoomId>),
    SessionsOf(RoomId),
    Health,
}

proptest! {
    #![proptest_config(Config { cases: 384, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_cached_store_answers_as_a_bare_one(preset in select(vec![Preset::Classic, Preset::Coherent]), steps in vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (clock, hand) = Clock::manual();
            let options = Options { preset, ..Options::default() };
            let cache = Cache::with_runtime(contract::memory::repositories(), &options, Runtime::tokio_with(clock));
            let pair = Pair { bare: contract::memory::repositories(), cache, hand };
            for step in steps {
                pair.step(step).await?;
            }
            pair.read_all().await
        })?;
    }
}

#[test]
fn generated_sequences_write_successfully_and_hit_the_cache() {
    // Otherwise the comparison above would compare errors, or nothing that was kept.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut writes, mut done, mut hits, mut requests) = (0, 0, 0, 0);
    for _ in 0..64 {
        let steps = vec(step(), 100..120)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        runtime.block_on(async {
            let (clock, _) = Clock::manual();
            let cache = Cache::with_runtime(
                contract::memory::repositories(),
                &Options::default(),
                Runtime::tokio_with(clock),
            );
            for step in steps {
                let Step::Call { call, .. } = step else {
                    continue;
                };
                let answer = answer(&cache.repositories, &call).await;
                if matches!(call, Call::Write(_)) {
                    writes += 1;
                    done += u32::from(answer.starts_with("Ok"));
                }
            }
            for (_, _, stats) in cache.manager.stats() {
                hits += stats.hits;
                requests += stats.hits + stats.misses;
            }
        });
    }
    assert!(done * 4 > writes, "{done} of {writes} writes succeed");
    assert!(hits * 6 > requests, "{hits} of {requests} reads are hits");
}

/// A bare store, and a cache before another.
struct Pair {
    bare: Repositories,
    cache: Cache,
    hand: ManualClock,
}

impl Pair {
    async fn step(&self, step: Step) -> Result<(), TestCaseError> {
        let manager = &self.cache.manager;
        match step {
            Step::Call { call, bypass } => {
                let r = if bypass {
                    &self.cache.bypassing
                } else {
                    &self.cache.repositories
                };
                self.same(r, &call).await?;
            }
            Step::ReadAll => self.read_all().await?,
            Step::Pass(time) => self.hand.advance(time),
            Step::Cleanup => drop(manager.cleanup().await),
            Step::Clear => drop(manager.clear()),
            Step::ClearRegion(region) => prop_assert!(manager.clear_region(region).is_some()),
            Step::InvalidateKey(key) => drop(manager.invalidate_key(&key)),
            Step::InvalidatePrefix(prefix) => drop(manager.invalidate_prefix(&prefix)),
            Step::InvalidateGlob(glob) => drop(manager.invalidate_glob(&glob)),
            Step::InvalidateRoom(room) => drop(self.cache.invalidate_room(room)),
            Step::InvalidateAgent(agent) => drop(self.cache.invalidate_agent(agent)),
            Step::Switch(region, on) => prop_assert!(manager.set_enabled(region, on)),
            Step::SwitchAll(on) => manager.set_all_enabled(on),
        }
        Ok(())
    }

    async fn same(&self, cached: &Repositories, call: &Call) -> Result<(), TestCaseError> {
        prop_assert_eq!(
            answer(cached, call).await,
            answer(&self.bare, call).await,
            "{:?}",
            call
        );
        Ok(())
    }

    async fn read_all(&self) -> Result<(), TestCaseError> {
        for read in every_read() {
            self.same(&self.cache.repositories, &Call::Read(read))
                .await?;
        }
        Ok(())
    }
}

/// One read of each kind for each id and user.
fn every_read() -> Vec<Read> {
    let (rooms, agents): (Vec<_>, Vec<_>) = IDS.map(|id| (RoomId(id), AgentId(id))).unzip();
    let users: Vec<_> = USERS
        .iter()
        .map(|user| UserId::parse(user).unwrap())
        .collect();
    let mut reads = vec![
        Read::AllAgents,
        Read::ConfigFiles,
        Read::AllRooms,
        Read::Health,
    ];
    reads.extend([
        Read::Agents(agents.clone()),
        Read::Configs(agents.clone()),
        Read::Rooms(rooms.clone()),
        Read::Activities(rooms.clone()),
    ]);
    for &agent in &agents {
        reads.extend([
            Read::Agent(agent),
            Read::Config(agent),
            Read::Picture(agent),
        ]);
        reads.extend(users.iter().map(|user| Read::Direct(user.clone(), agent)));
    }
    for &room in &rooms {
        reads.extend([
            Read::Room(room),
            Read::Members(room),
            Read::Activity(room),
            Read::SessionsOf(room),
        ]);
        reads.extend([
            Read::Recent(room, None, usize::MAX),
            Read::Since(room, MessageId(0), 100),
        ]);
        reads.extend([Read::Answers(room), Read::End(room, 10)]);
        reads.extend(
            agents
                .iter()
                .map(|&agent| Read::SinceAnswer(room, agent, 10)),
        );
        reads.extend(users.iter().map(|user| Read::Position(user.clone(), room)));
    }
    reads.extend(users.iter().flat_map(|user| {
        [
            Read::RoomsOf(user.clone()),
            Read::Positions(user.clone(), rooms.clone()),
        ]
    }));
    reads
}

/// What a port answers, in words and without the time of day.
async fn answer(r: &Repositories, call: &Call) -> String {
    match call.clone() {
        Call::Write(write) => match write {
            Write::CreateAgent(new) => told(&r.agents.create(new).await),
            Write::AdoptAgent(path) => told(&r.agents.adopt(&path).await),
            Write::UpdateAgent(id, change) => told(&r.agents.update(id, change).await),
            Write::DeleteAgent(id) => told(&r.agents.delete(id).await),
            Write::SaveConfig(id, config) => told(&r.configs.save(id, config).await),
            Write::AppendMemory(id, event) => told(&r.configs.append_memory(id, event).await),
            Write::ReloadConfig(id) => told(&r.configs.reload(id).await),
            Write::CreateRoom(new) => told(&r.rooms.create(new).await),
            Write::CreateDirect(owner, agent) => told(&r.rooms.create_direct(owner, agent).await),
            Write::UpdateRoom(id, change) => told(&r.rooms.update(id, change).await),
            Write::DeleteRoom(id) => told(&r.rooms.delete(id).await),
            Write::AddMember(room, agent) => told(&r.rooms.add_member(room, agent).await),
            Write::RemoveMember(room, agent) => told(&r.rooms.remove_member(room, agent).await),
            Write::Append(new) => told(&r.messages.append(new).await),
            Write::Clear(room) => told(&r.messages.clear(room).await),
            Write::Mark(user, room) => told(&r.read_positions.mark(user, room).await),
            Write::SaveSession(room, agent, session) => {
                told(&r.sessions.save(room, agent, session).await)
            }
            Write::Settle => told(&r.settle.settle().await),
        },
        Call::Read(read) => match read {
            Read::Agent(id) => told(&r.agents.find(id).await),
            Read::Agents(ids) => told(&r.agents.find_many(&ids).await),
            Read::AllAgents => told(&r.agents.list().await),
            Read::Config(id) => told(&r.configs.find(id).await),
            Read::Configs(ids) => told(&r.configs.find_many(&ids).await),
            Read::ConfigFiles => told(&r.configs.list().await),
            Read::Picture(id) => told(&r.configs.picture(id).await),
            Read::Room(id) => told(&r.rooms.find(id).await),
            Read::Rooms(ids) => told(&r.rooms.find_many(&ids).await),
            Read::AllRooms => told(&r.rooms.list().await),
            Read::RoomsOf(owner) => told(&r.rooms.list_by_owner(&owner).await),
            Read::Direct(owner, agent) => told(&r.rooms.find_direct(&owner, agent).await),
            Read::Members(room) => told(&r.rooms.members(room).await),
            Read::Activity(room) => told(&r.rooms.activity(room).await),
            Read::Activities(rooms) => told(&r.rooms.activities(&rooms).await),
            Read::Recent(room, before, limit) => {
                told(&r.messages.recent(room, before, limit).await)
            }
            Read::Since(room, after, limit) => told(&r.messages.since(room, after, limit).await),
            Read::ByAuthors(room, authors, after, limit) => {
                told(&r.messages.by_authors(room, &authors, after, limit).await)
            }
            Read::SinceAnswer(room, agent, limit) => {
                told(&r.messages.since_answer(room, agent, limit).await)
            }
            Read::Answers(room) => told(&r.messages.answer_counts(room).await),
            Read::End(room, limit) => told(&r.messages.end(room, limit).await),
            Read::Images(room, messages) => told(&r.messages.images(room, &messages).await),
            Read::Position(user, room) => told(&r.read_positions.find(&user, room).await),
            Read::Positions(user, rooms) => told(&r.read_positions.find_many(&user, &rooms).await),
            Read::SessionsOf(room) => told(&r.sessions.list(room).await),
            Read::Health => told(&r.health.check().await),
        },
    }
}

/// In words, where `2026-11-23T10:00:00Z` becomes `TIME`: the stores are called one after the other.
fn told(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    let is_part = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
    let mut told = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        told.push_str(&rest[..start]);
        told.push_str(
            if word.len() >= 20 && word.ends_with('Z') && word.contains('T') {
                "TIME"
            } else {
                word
            },
        );
        rest = &rest[end..];
    }
    told + rest
}

fn step() -> impl Strategy<Value = Step> {
    let region = || {
        select(
            cache_adapter::rows()
                .iter()
                .map(|row| row.region)
                .collect::<Vec<_>>(),
        )
    };
    let key = || {
        (region(), IDS, select(USERS.to_vec())).prop_map(|(region, id, user)| match region {
            "agent_list" | "room_list" => format!("{region}:all"),
            "rooms_of" => format!("{region}:{user}"),
            "read_state" => format!("{region}:{user}/{id}"),
            _ => format!("{region}:{id}"),
        })
    };
    let call = prop_oneof![2 => write().prop_map(Call::Write), 3 => read().prop_map(Call::Read)];
    prop_oneof![
        40 => (call, prop::bool::weighted(0.15)).prop_map(|(call, bypass)| Step::Call { call, bypass }),
        2 => Just(Step::ReadAll),
        4 => select(vec![1, 999, 5_000, 29_999, 30_000, 60_000, 300_000]).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => Just(Step::Cleanup),
        1 => Just(Step::Clear),
        1 => region().prop_map(Step::ClearRegion),
        2 => key().prop_map(Step::InvalidateKey),
        1 => (region(), IDS).prop_map(|(region, id)| Step::InvalidatePrefix(format!("{region}:{id}"))),
        1 => IDS.prop_map(|id| Step::InvalidateGlob(format!("room_*:{id}"))),
        1 => room().prop_map(Step::InvalidateRoom),
        1 => agent().prop_map(Step::InvalidateAgent),
        1 => (region(), prop::bool::weighted(0.7)).prop_map(|(region, on)| Step::Switch(region, on)),
        1 => prop::bool::weighted(0.8).prop_map(Step::SwitchAll),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let event = || "[a-z ]{1,12}".prop_map(|text| RecentEvent { date: None, text });
    let new_agent = (
        agent_name(),
        prop::option::weighted(0.2, group()),
        config(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(name, group, config, pictured)| NewAgent {
            name,
            group,
            config,
            picture: pictured.then(picture),
        });
    let new_room = (user(), room_name(), prop::option::of(1..9_u32)).prop_map(
        |(owner, name, max_interactions)| NewRoom {
            owner,
            name,
            max_interactions,
        },
    );
    let adopted = agent_name().prop_map(|name| Write::AdoptAgent(format!("{name}/agent.yaml")));
    prop_oneof![
        5 => new_agent.prop_map(Write::CreateAgent),
        1 => adopted,
        3 => (agent(), agent_change()).prop_map(|(id, change)| Write::UpdateAgent(id, change)),
        1 => agent().prop_map(Write::DeleteAgent),
        1 => (agent(), config()).prop_map(|(id, config)| Write::SaveConfig(id, config)),
        1 => (agent(), event()).prop_map(|(id, event)| Write::AppendMemory(id, event)),
        1 => agent().prop_map(Write::ReloadConfig),
        5 => new_room.prop_map(Write::CreateRoom),
        3 => (user(), agent()).prop_map(|(user, agent)| Write::CreateDirect(user, agent)),
        3 => (room(), room_change()).prop_map(|(id, change)| Write::UpdateRoom(id, change)),
        1 => room().prop_map(Write::DeleteRoom),
        4 => (room(), agent()).prop_map(|(room, agent)| Write::AddMember(room, agent)),
        2 => (room(), agent()).prop_map(|(room, agent)| Write::RemoveMember(room, agent)),
        10 => message().prop_map(Write::Append),
        1 => room().prop_map(Write::Clear),
        3 => (user(), room()).prop_map(|(user, room)| Write::Mark(user, room)),
        3 => (room(), agent(), "[a-z]{1,4}").prop_map(|(room, agent, session)| Write::SaveSession(room, agent, session)),
        1 => Just(Write::Settle),
    ]
}

fn read() -> impl Strategy<Value = Read> {
    let limit = || select(vec![0, 1, 2, 10, 200, usize::MAX]);
    let said = || (0..40_i64).prop_map(MessageId);
    let agents = || subsequence(IDS.map(AgentId).collect::<Vec<_>>(), 0..=5).prop_shuffle();
    let rooms = || subsequence(IDS.map(RoomId).collect::<Vec<_>>(), 0..=5).prop_shuffle();
    prop_oneof![
        prop_oneof![
            agent().prop_map(Read::Agent),
            agents().prop_map(Read::Agents),
            Just(Read::AllAgents),
            agent().prop_map(Read::Config),
            agents().prop_map(Read::Configs),
            Just(Read::ConfigFiles),
            agent().prop_map(Read::Picture),
            Just(Read::Health),
        ],
        prop_oneof![
            room().prop_map(Read::Room),
            rooms().prop_map(Read::Rooms),
            Just(Read::AllRooms),
            user().prop_map(Read::RoomsOf),
            (user(), agent()).prop_map(|(user, agent)| Read::Direct(user, agent)),
            room().prop_map(Read::Members),
            room().prop_map(Read::Activity),
            rooms().prop_map(Read::Activities),
        ],
        prop_oneof![
            (room(), prop::option::of(said()), limit())
                .prop_map(|(room, before, limit)| Read::Recent(room, before, limit)),
            (room(), said(), limit())
                .prop_map(|(room, after, limit)| Read::Since(room, after, limit)),
            (room(), agents(), said(), limit()).prop_map(|(room, authors, after, limit)| {
                Read::ByAuthors(room, authors, after, limit)
            }),
            (room(), agent(), limit())
                .prop_map(|(room, agent, limit)| Read::SinceAnswer(room, agent, limit)),
            room().prop_map(Read::Answers),
            (room(), limit()).prop_map(|(room, limit)| Read::End(room, limit)),
            (room(), vec(said(), 0..6)).prop_map(|(room, messages)| Read::Images(room, messages)),
        ],
        prop_oneof![
            (user(), room()).prop_map(|(user, room)| Read::Position(user, room)),
            (user(), rooms()).prop_map(|(user, rooms)| Read::Positions(user, rooms)),
            room().prop_map(Read::SessionsOf),
        ],
    ]
}

fn agent() -> impl Strategy<Value = AgentId> {
    IDS.prop_map(AgentId)
}

fn room() -> impl Strategy<Value = RoomId> {
    IDS.prop_map(RoomId)
}

fn user() -> impl Strategy<Value = UserId> {
    select(USERS.to_vec()).prop_map(|user| UserId::parse(user).unwrap())
}

fn agent_name() -> impl Strategy<Value = AgentName> {
    select(AGENT_NAMES.to_vec()).prop_map(|name| AgentName::parse(name).unwrap())
}

fn room_name() -> impl Strategy<Value = RoomName> {
    select(ROOM_NAMES.to_vec()).prop_map(|name| RoomName::parse(name).unwrap())
}

fn group() -> impl Strategy<Value = GroupName> {
    select(vec!["crew", "guests"]).prop_map(|name| GroupName::parse(name).unwrap())
}

fn picture() -> Picture {
    Picture {
        media_type: "image/png".into(),
        bytes: vec![1, 2, 3],
    }
}

fn config() -> impl Strategy<Value = AgentConfig> {
    ("[a-z]{0,8}", any::<bool>(), -3..3_i32).prop_map(|(in_a_nutshell, is_critic, priority)| {
        AgentConfig {
            in_a_nutshell,
            is_critic,
            priority,
            ..AgentConfig::default()
        }
    })
}

fn agent_change() -> impl Strategy<Value = AgentChange> {
    (
        prop::option::weighted(0.4, agent_name()),
        prop::option::weighted(0.2, prop::option::of(group())),
        prop::option::of("[a-z]{0,8}"),
        prop::option::of(any::<bool>()),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(name, group, characteristics, is_critic, pictured)| AgentChange {
                name,
                group,
                characteristics,
                is_critic,
                picture: pictured.then(picture),
                ..AgentChange::default()
            },
        )
}

fn room_change() -> impl Strategy<Value = RoomChange> {
    (
        prop::option::weighted(0.4, room_name()),
        prop::option::weighted(0.3, prop::option::of(1..9_u32)),
        prop::option::of(any::<bool>()),
        prop::option::of(any::<bool>()),
        prop::option::weighted(0.2, prop::option::of("[a-z]{1,8}")),
    )
        .prop_map(
            |(name, max_interactions, is_paused, is_finished, last_error)| RoomChange {
                name,
                max_interactions,
                is_paused,
                is_finished,
                last_error,
            },
        )
}

fn message() -> impl Strategy<Value = NewMessage> {
    (room(), prop::option::of(agent()), "[a-z ]{1,12}", 0..8_u8).prop_map(
        |(room, author, text, kind)| match (author, kind) {
            (Some(agent), _) => NewMessage::from_agent(room, agent, text),
            (None, 0) => NewMessage::from_system(room, text),
            (None, 1) => {
                let image = Some(Image {
                    media_type: "image/png".into(),
                    data: "QUJD".into(),
                });
                NewMessage {
                    image,
                    ..NewMessage::from_user(room, text)
                }
            }
            (None, _) => NewMessage::from_user(room, text),
        },
    )
}
