//! Property tests: for any sequence of calls, a cached store returns the same results as a bare
//! store.
//!
//! A generated sequence of steps runs on two stores, one of them behind the cache. Between the
//! calls, time passes, keys are invalidated by hand, and regions are switched off and on. Both
//! stores assign the same ids, so the printed results are compared, except for times.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, ManualClock, Runtime};
use chrono::NaiveDate;
use contract::{Access, PORT_METHODS};
use domain::{
    AgentChange, AgentConfig, AgentId, AgentName, GroupName, Image, MessageId, NewAgent,
    NewMessage, NewRoom, Picture, RecentEvent, Repositories, RoomChange, RoomId, RoomName, Seq,
    Usage, UsageKey, UsageRecord, UserId,
};
use futures_util::{FutureExt, future::BoxFuture};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// The ids that calls use. A sequence soon creates rows with most of these ids, and never with some
/// of them.
const IDS: std::ops::RangeInclusive<i64> = 1..=5;
const USERS: [&str; 3] = ["admin", "guest-1", "guest-2"];
const AGENT_NAMES: [&str; 4] = ["Ada", "하늘", "Zoë", "Tomás"];
const ROOM_NAMES: [&str; 3] = ["Kitchen", "Attic", "Cellar"];

/// One step of a sequence.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A call of a port method, through the cache or bypassing it.
    Call {
        call: Call,
        bypass: bool,
    },
    /// Every kind of read for each id and user, through the cache.
    ReadAll,
    AdvanceClock(Duration),
    Cleanup,
    Clear,
    ClearRegion(&'static str),
    InvalidateKey(String),
    InvalidatePrefix(String),
    InvalidateGlob(String),
    InvalidateRoom(RoomId),
    InvalidateAgent(AgentId),
    SetEnabled(&'static str, bool),
    SetAllEnabled(bool),
}

/// A call of a port method with its arguments. It can run on several stores.
#[derive(Clone)]
pub(crate) struct Call {
    /// The name of the method, as in [`contract::PortMethod::call`].
    method: &'static str,
    arguments: String,
    pub(crate) run: Arc<RunCall>,
}

/// A function that runs a call and returns the printed result.
pub(crate) type RunCall = dyn Fn(&Repositories) -> BoxFuture<'static, String> + Send + Sync;

impl Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.method, self.arguments)
    }
}

impl Call {
    fn access(&self) -> Access {
        let row = PORT_METHODS.iter().find(|row| row.call == self.method);
        row.expect("the table lists every method").access
    }
}

/// Builds a [`Call`] from a method with its arguments, followed by the variables that the arguments
/// use.
macro_rules! call {
    ($port:ident.$method:ident($($arg:expr),*) $(; $($var:ident),+)?) => {
        Call {
            method: concat!(stringify!($port), ".", stringify!($method)),
            arguments: format!("{:?}", ($($(&$var,)+)?)),
            run: Arc::new(move |ports: &Repositories| {
                let ports = ports.clone();
                $($(let $var = Clone::clone(&$var);)+)?
                async move { print_without_times(&ports.$port.$method($($arg),*).await) }.boxed()
            }),
        }
    };
}

proptest! {
    #![proptest_config(Config { cases: 384, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_cached_store_answers_as_a_bare_one(
        preset in select(vec![Preset::Classic, Preset::Coherent]),
        steps in vec(step(), 1..120),
    ) {
        block_on(async {
            let pair = Pair::new(preset);
            for step in steps {
                pair.run(step).await?;
            }
            pair.read_all().await
        })?;
    }
}

#[test]
fn generated_sequences_write_successfully_and_hit_the_cache() {
    // If all writes failed or no read hit, the test above would compare only errors or newly loaded
    // values.
    let mut runner = TestRunner::deterministic();
    let (mut writes, mut successes, mut hits, mut requests) = (0, 0, 0, 0);
    for _ in 0..64 {
        let steps = sample(&vec(step(), 100..120), &mut runner);
        block_on(async {
            let cache = Pair::new(Preset::default()).cache;
            for step in steps {
                let Step::Call { call, .. } = step else {
                    continue;
                };
                let result = (call.run)(&cache.repositories).await;
                if call.access() == Access::Write {
                    writes += 1;
                    successes += u32::from(result.starts_with("Ok"));
                }
            }
            for region in cache.manager.stats() {
                hits += region.stats.hits;
                requests += region.stats.total_requests();
            }
        });
    }
    assert!(
        successes * 4 > writes,
        "{successes} of {writes} writes succeed"
    );
    assert!(hits * 6 > requests, "{hits} of {requests} reads are hits");
}

#[test]
fn every_port_method_is_called() {
    let mut runner = TestRunner::deterministic();
    let strategy = call();
    let called: BTreeSet<_> = (0..4_000)
        .map(|_| sample(&strategy, &mut runner).method)
        .collect();
    // Methods that wait are not called: they return only when another task changes the store.
    let methods: BTreeSet<_> = PORT_METHODS
        .iter()
        .filter(|row| row.access != Access::Wait)
        .map(|row| row.call)
        .collect();
    assert_eq!(called, methods);
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("the runtime starts").block_on(future)
}

pub(crate) fn sample<T: Debug>(strategy: &impl Strategy<Value = T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// A bare store, and a cache on a second store. Both receive the same calls.
struct Pair {
    bare: Repositories,
    cache: Cache,
    clock: ManualClock,
}

impl Pair {
    fn new(preset: Preset) -> Self {
        let (clock, manual_clock) = Clock::manual();
        let options = Options {
            preset,
            ..Options::default()
        };
        let store = contract::memory::repositories();
        Self {
            bare: contract::memory::repositories(),
            cache: Cache::with_runtime(store, &options, Runtime::tokio_with(clock)),
            clock: manual_clock,
        }
    }

    async fn run(&self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Call { call, bypass } => {
                compare(ports(&self.cache, bypass), &self.bare, &call).await?;
            }
            Step::ReadAll => self.read_all().await?,
            Step::AdvanceClock(time) => self.clock.advance(time),
            operator_step => intervene(&self.cache, operator_step).await?,
        }
        Ok(())
    }

    async fn read_all(&self) -> Result<(), TestCaseError> {
        for read in every_read() {
            compare(&self.cache.repositories, &self.bare, &read).await?;
        }
        Ok(())
    }
}

/// Returns the ports of a cache, or those that bypass it.
pub(crate) fn ports(cache: &Cache, bypass: bool) -> &Repositories {
    if bypass {
        &cache.bypassing
    } else {
        &cache.repositories
    }
}

/// Runs a call on two stores and compares the results.
pub(crate) async fn compare(
    cached: &Repositories,
    bare: &Repositories,
    call: &Call,
) -> Result<(), TestCaseError> {
    let (cached, bare) = ((call.run)(cached).await, (call.run)(bare).await);
    prop_assert_eq!(cached, bare, "{:?}", call);
    Ok(())
}

/// Runs a step that an operator makes by hand.
pub(crate) async fn intervene(cache: &Cache, step: Step) -> Result<(), TestCaseError> {
    let manager = &cache.manager;
    match step {
        Step::Cleanup => drop(manager.cleanup().await),
        Step::Clear => drop(manager.clear()),
        Step::ClearRegion(region) => prop_assert!(manager.clear_region(region).is_some()),
        Step::InvalidateKey(key) => drop(manager.invalidate_key(&key)),
        Step::InvalidatePrefix(prefix) => drop(manager.invalidate_prefix(&prefix)),
        Step::InvalidateGlob(glob) => drop(manager.invalidate_glob(&glob)),
        Step::InvalidateRoom(room) => drop(cache.invalidate_room(room)),
        Step::InvalidateAgent(agent) => drop(cache.invalidate_agent(agent)),
        Step::SetEnabled(region, on) => prop_assert!(manager.set_enabled(region, on)),
        Step::SetAllEnabled(on) => manager.set_all_enabled(on),
        Step::Call { .. } | Step::ReadAll | Step::AdvanceClock(_) => {
            unreachable!("no operator makes this step")
        }
    }
    Ok(())
}

/// Returns one read of each kind for each id and user.
pub(crate) fn every_read() -> Vec<Call> {
    let agents: Vec<_> = IDS.map(AgentId).collect();
    let rooms: Vec<_> = IDS.map(RoomId).collect();
    let users: Vec<_> = USERS
        .iter()
        .map(|user| UserId::parse(user).unwrap())
        .collect();
    let mut reads = vec![
        call!(agents.list(None, 1_000)),
        call!(files.list()),
        call!(rooms.list(None, 1_000)),
        call!(health.check()),
    ];
    for &agent in &agents {
        reads.extend([
            call!(agents.find(agent); agent),
            call!(configs.find(agent); agent),
            call!(configs.picture(agent); agent),
        ]);
        for user in &users {
            let (user, owner) = (user.clone(), user.clone());
            reads.extend([
                call!(rooms.find_direct(&user, agent); user, agent),
                call!(memories.list(agent, &owner); agent, owner),
            ]);
        }
    }
    for &room in &rooms {
        reads.extend([
            call!(rooms.find(room); room),
            call!(rooms.members(room); room),
            call!(rooms.activity(room); room),
            call!(sessions.list(room); room),
            call!(messages.recent(room, None, usize::MAX); room),
            call!(messages.since(room, MessageId(0), 100); room),
            call!(messages.answer_counts(room); room),
            call!(messages.end(room, 10); room),
            call!(messages.removals(room, Seq(0), usize::MAX); room),
        ]);
        reads.extend(
            agents
                .iter()
                .map(|&agent| call!(messages.since_answer(room, agent, 10); room, agent)),
        );
        reads.extend(
            users
                .iter()
                .cloned()
                .map(|user| call!(read_positions.find(&user, room); user, room)),
        );
    }
    for user in users {
        let (owner, ids) = (user.clone(), rooms.clone());
        reads.extend([
            call!(rooms.list_by_owner(&owner, None, 1_000); owner),
            call!(read_positions.find_many(&user, &ids); user, ids),
        ]);
    }
    let (ids, more_ids) = (agents.clone(), agents.clone());
    reads.extend([
        call!(agents.find_many(&agents); agents),
        call!(configs.find_many(&ids); ids),
        call!(files.find_again(&more_ids); more_ids),
    ]);
    let ids = rooms.clone();
    reads.extend([
        call!(rooms.find_many(&rooms); rooms),
        call!(rooms.activities(&ids); ids),
    ]);
    reads
}

/// Prints a result, with `TIME` in place of each time such as `2026-11-23T10:00:00Z`. The times of
/// the two stores differ, because the stores are called one after the other.
fn print_without_times(result: &impl Debug) -> String {
    let text = format!("{result:?}");
    let is_part = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
    let is_time = |word: &str| word.len() >= 20 && word.ends_with('Z') && word.contains('T');
    let mut printed = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        printed.push_str(&rest[..start]);
        printed.push_str(if is_time(word) { "TIME" } else { word });
        rest = &rest[end..];
    }
    printed + rest
}

#[rustfmt::skip] // One step a row.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let regions: Vec<_> = cache_adapter::rows().iter().map(|row| row.region).collect();
    let region = || select(regions.clone());
    let key = (region(), IDS, select(USERS.to_vec())).prop_map(|(region, id, user)| match region {
        "agent_list" | "room_list" => format!("{region}:all"),
        "rooms_of" => format!("{region}:{user}"),
        "read_state" | "agent_memories" => format!("{region}:{user}/{id}"),
        _ => format!("{region}:{id}"),
    });
    let prefix = (region(), IDS).prop_map(|(region, id)| format!("{region}:{id}"));
    let millis = select(vec![1, 999, 5_000, 29_999, 30_000, 60_000, 300_000]);
    let on = prop::bool::weighted;
    prop_oneof![
        40 => (call(), on(0.15)).prop_map(|(call, bypass)| Step::Call { call, bypass }),
        2 => Just(Step::ReadAll),
        4 => millis.prop_map(|millis| Step::AdvanceClock(Duration::from_millis(millis))),
        1 => Just(Step::Cleanup),
        1 => Just(Step::Clear),
        1 => region().prop_map(Step::ClearRegion),
        2 => key.prop_map(Step::InvalidateKey),
        1 => prefix.prop_map(Step::InvalidatePrefix),
        1 => IDS.prop_map(|id| Step::InvalidateGlob(format!("room_*:{id}"))),
        1 => room().prop_map(Step::InvalidateRoom),
        1 => agent().prop_map(Step::InvalidateAgent),
        1 => (region(), on(0.7)).prop_map(|(region, on)| Step::SetEnabled(region, on)),
        1 => on(0.8).prop_map(Step::SetAllEnabled),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![2 => write(), 3 => read()]
}

#[rustfmt::skip] // One method a row.
fn write() -> impl Strategy<Value = Call> {
    let event = || "[a-z ]{1,12}".prop_map(|text| RecentEvent { date: None, text });
    let path = agent_name().prop_map(|name| format!("{name}/agent.yaml"));
    let session = "[a-z]{1,4}";
    let pair = || (room(), agent());
    prop_oneof![
        5 => new_agent().prop_map(|new| call!(agents.create(new); new)),
        1 => path.prop_map(|path| call!(files.adopt(&path); path)),
        3 => (agent(), agent_change())
            .prop_map(|(id, change)| call!(agents.update(id, change); id, change)),
        1 => agent().prop_map(|id| call!(agents.delete(id); id)),
        1 => (agent(), config())
            .prop_map(|(id, config)| call!(configs.save(id, config); id, config)),
        1 => (agent(), event())
            .prop_map(|(id, event)| call!(configs.append_memory(id, event); id, event)),
        1 => agent().prop_map(|id| call!(files.reload(id); id)),
        2 => (agent(), user(), event(), 1..4_usize).prop_map(|(id, user, event, most)| {
            call!(memories.append(id, user, event, most); id, user, event, most)
        }),
        1 => (user(), prop::option::of(agent()))
            .prop_map(|(user, id)| call!(memories.forget(user, id); user, id)),
        1 => usage_record().prop_map(|record| call!(usage.add(record); record)),
        5 => new_room().prop_map(|new| call!(rooms.create(new); new)),
        3 => (user(), agent())
            .prop_map(|(user, id)| call!(rooms.create_direct(user, id); user, id)),
        3 => (room(), room_change())
            .prop_map(|(id, change)| call!(rooms.update(id, change); id, change)),
        1 => room().prop_map(|id| call!(rooms.delete(id); id)),
        4 => pair().prop_map(|(room, agent)| call!(rooms.add_member(room, agent); room, agent)),
        2 => pair().prop_map(|(room, agent)| call!(rooms.remove_member(room, agent); room, agent)),
        10 => message().prop_map(|new| call!(messages.append(new); new)),
        1 => room().prop_map(|room| call!(messages.clear(room); room)),
        2 => (room(), message_id())
            .prop_map(|(room, id)| call!(messages.remove(room, id); room, id)),
        3 => (user(), room())
            .prop_map(|(user, room)| call!(read_positions.mark(user, room); user, room)),
        3 => (pair(), session).prop_map(|((room, agent), session)| {
            call!(sessions.save(room, agent, session); room, agent, session)
        }),
        1 => Just(()).prop_map(|()| call!(settle.settle())),
    ]
}

fn day() -> impl Strategy<Value = NaiveDate> {
    (1..=2_u32).prop_map(|day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap())
}

fn usage_record() -> impl Strategy<Value = UsageRecord> {
    let record = |(day, owner, room, agent, input)| UsageRecord {
        day,
        owner,
        room,
        agent,
        model: "llama".into(),
        usage: Usage {
            input,
            ..Usage::default()
        },
    };
    (day(), user(), room(), agent(), 1..1_000_u64).prop_map(record)
}

fn read() -> impl Strategy<Value = Call> {
    prop_oneof![read_agents(), read_rooms(), read_messages(), read_others()]
}

/// Limits of parts of lists.
fn part_limit() -> impl Strategy<Value = usize> {
    select(vec![0, 1, 2, 10, usize::MAX])
}

#[rustfmt::skip] // One method a row.
fn read_agents() -> impl Strategy<Value = Call> {
    prop_oneof![
        agent().prop_map(|id| call!(agents.find(id); id)),
        agents().prop_map(|ids| call!(agents.find_many(&ids); ids)),
        (prop::option::of(agent()), part_limit())
            .prop_map(|(after, limit)| call!(agents.list(after, limit); after, limit)),
        agent_name().prop_map(|name| call!(agents.find_named(&name); name)),
        agent().prop_map(|id| call!(configs.find(id); id)),
        agents().prop_map(|ids| call!(configs.find_many(&ids); ids)),
        agents().prop_map(|ids| call!(files.find_again(&ids); ids)),
        agent().prop_map(|id| call!(configs.picture(id); id)),
        (agent(), user()).prop_map(|(id, user)| call!(memories.list(id, &user); id, user)),
        Just(()).prop_map(|()| call!(files.list())),
        agents().prop_map(|ids| call!(files.changed(&ids); ids)),
        Just(()).prop_map(|()| call!(files.problems())),
    ]
}

#[rustfmt::skip] // One method a row.
fn read_rooms() -> impl Strategy<Value = Call> {
    prop_oneof![
        room().prop_map(|id| call!(rooms.find(id); id)),
        rooms().prop_map(|ids| call!(rooms.find_many(&ids); ids)),
        (prop::option::of(room()), part_limit())
            .prop_map(|(after, limit)| call!(rooms.list(after, limit); after, limit)),
        (user(), prop::option::of(room()), part_limit()).prop_map(|(owner, after, limit)| {
            call!(rooms.list_by_owner(&owner, after, limit); owner, after, limit)
        }),
        (user(), agent()).prop_map(|(owner, id)| call!(rooms.find_direct(&owner, id); owner, id)),
        room().prop_map(|id| call!(rooms.members(id); id)),
        room().prop_map(|id| call!(rooms.activity(id); id)),
        rooms().prop_map(|ids| call!(rooms.activities(&ids); ids)),
    ]
}

fn message_id() -> impl Strategy<Value = MessageId> {
    (0..40_i64).prop_map(MessageId)
}

/// A few keys, so that some are used twice.
fn send_key() -> impl Strategy<Value = String> {
    select(vec!["a".to_owned(), "b".to_owned()])
}

#[rustfmt::skip] // One method a row.
fn read_messages() -> impl Strategy<Value = Call> {
    let limit = || select(vec![0, 1, 2, 10, 200, usize::MAX]);
    let id = message_id;
    prop_oneof![
        (room(), prop::option::of(id()), limit()).prop_map(|(room, before, limit)| {
            call!(messages.recent(room, before, limit); room, before, limit)
        }),
        (room(), id(), limit()).prop_map(|(room, after, limit)| {
            call!(messages.since(room, after, limit); room, after, limit)
        }),
        (room(), agents(), prop::option::of(id()), limit()).prop_map(|(room, ids, after, limit)| {
            call!(messages.by_authors(room, &ids, after, limit); room, ids, after, limit)
        }),
        (room(), agent(), limit()).prop_map(|(room, agent, limit)| {
            call!(messages.since_answer(room, agent, limit); room, agent, limit)
        }),
        room().prop_map(|room| call!(messages.answer_counts(room); room)),
        (room(), limit()).prop_map(|(room, limit)| call!(messages.end(room, limit); room, limit)),
        (room(), vec(id(), 0..6))
            .prop_map(|(room, ids)| call!(messages.images(room, &ids); room, ids)),
        user().prop_map(|owner| call!(messages.image_bytes(&owner); owner)),
        (room(), (0..20_i64).prop_map(Seq), limit()).prop_map(|(room, after, limit)| {
            call!(messages.removals(room, after, limit); room, after, limit)
        }),
        (user(), send_key())
            .prop_map(|(user, key)| call!(messages.find_sent(&user, &key); user, key)),
    ]
}

#[rustfmt::skip] // One method a row.
fn read_others() -> impl Strategy<Value = Call> {
    prop_oneof![
        (user(), room())
            .prop_map(|(user, room)| call!(read_positions.find(&user, room); user, room)),
        (user(), rooms())
            .prop_map(|(user, ids)| call!(read_positions.find_many(&user, &ids); user, ids)),
        room().prop_map(|room| call!(sessions.list(room); room)),
        (day(), prop::option::of(user()))
            .prop_map(|(day, owner)| call!(usage.tokens(day, owner); day, owner)),
        (select(UsageKey::ALL.to_vec()), day(), prop::option::of(user()), part_limit())
            .prop_map(|(key, since, owner, limit)| {
                call!(usage.sums(key, since, owner, limit); key, since, owner, limit)
            }),
        Just(()).prop_map(|()| call!(health.check())),
    ]
}

fn agents() -> impl Strategy<Value = Vec<AgentId>> {
    subsequence(IDS.map(AgentId).collect::<Vec<_>>(), 0..=5).prop_shuffle()
}

fn rooms() -> impl Strategy<Value = Vec<RoomId>> {
    subsequence(IDS.map(RoomId).collect::<Vec<_>>(), 0..=5).prop_shuffle()
}

fn new_agent() -> impl Strategy<Value = NewAgent> {
    let group = prop::option::weighted(0.2, group());
    let has_picture = prop::bool::weighted(0.2);
    (agent_name(), group, config(), has_picture).prop_map(|(name, group, config, has_picture)| {
        NewAgent {
            name,
            group,
            config,
            picture: has_picture.then(picture),
        }
    })
}

fn new_room() -> impl Strategy<Value = NewRoom> {
    let limit = prop::option::of(1..9_u32);
    (user(), room_name(), limit).prop_map(|(owner, name, max_interactions)| NewRoom {
        owner,
        name,
        max_interactions,
    })
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
            |(name, group, characteristics, is_critic, has_picture)| AgentChange {
                name,
                group,
                characteristics,
                is_critic,
                picture: has_picture.then(picture),
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
