//! What depends on time, with a clock that is moved by hand; and what the tables in docs/architecture.md say.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use app::{CLEANUP_INTERVAL, Flags, MIN_REQUESTS, RegionFlag, Settings};
use cache_adapter::{Cache, Options, Preset, regions_table, stale_table};
use cache_core::{Clock, Manager, ManualClock, Runtime};
use contract::memory;
use domain::{
    Agent, AgentId, AgentName, LogEnd, Member, Repositories, Room, RoomId, RoomName, Seq,
    Timestamp, UserId,
    ports::{MockAgentConfigs, MockAgents, MockMessages, MockRooms},
};
use futures_util::future::BoxFuture;
use testkit::events;
use tracing::Level;

const AGENT: AgentId = AgentId(3);
const ROOM: RoomId = RoomId(7);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// The mission's policies: the region and a read of it.
type Policy = (&'static str, fn(Repositories) -> BoxFuture<'static, ()>);

const POLICIES: [Policy; 5] = [
    ("agent_config", |r| {
        Box::pin(async move { assert!(r.configs.find(AGENT).await.unwrap().is_some()) })
    }),
    ("agent_obj", |r| {
        Box::pin(async move { assert!(r.agents.find(AGENT).await.unwrap().is_some()) })
    }),
    ("room_obj", |r| {
        Box::pin(async move { assert!(r.rooms.find(ROOM).await.unwrap().is_some()) })
    }),
    ("room_agents", |r| {
        Box::pin(async move { assert_eq!(r.rooms.members(ROOM).await.unwrap().len(), 1) })
    }),
    ("room_messages", |r| {
        Box::pin(
            async move { assert_eq!(r.messages.recent(ROOM, None, 10).await.unwrap().len(), 1) },
        )
    }),
];

#[tokio::test]
async fn each_policy_reloads_at_the_instant_of_its_documented_ttl_and_not_a_nanosecond_before() {
    for preset in [Preset::Classic, Preset::Coherent] {
        for (region, read) in POLICIES {
            reloads_at(
                documented(region, preset),
                &Options {
                    preset,
                    ..Options::default()
                },
                read,
                region,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_ttl_setting_reaches_its_region() {
    for (region, read) in POLICIES {
        let flags = Flags {
            ttl: vec![RegionFlag {
                region: region.into(),
                value: "1234ms".into(),
            }],
            ..Flags::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            auth: tests::server::settings(folder.path()).auth,
            ..Settings::read(flags).unwrap()
        };
        reloads_at(Duration::from_millis(1234), &settings.cache, read, region).await;
        let (clock, _hand) = Clock::manual();
        let wired = tests::server::app_over(memory::repositories(), &settings, clock);
        for (name, policy, _) in wired.cache.manager.stats() {
            let expected = if name == region {
                Duration::from_millis(1234)
            } else {
                documented(name, Preset::Classic)
            };
            assert_eq!(policy.ttl, expected, "{name} when {region} is set");
        }
    }
}

#[tokio::test]
async fn what_is_cached_is_asked_for_once() {
    for (region, read) in POLICIES {
        let (store, asked) = counted();
        let cache = Cache::with_runtime(
            store,
            &Options::default(),
            Runtime::tokio_with(Clock::manual().0),
        );
        for _ in 0..3 {
            read(cache.repositories.clone()).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{region}");
    }
}

#[tokio::test]
async fn an_agents_configuration_read_with_bypass_is_asked_for_each_time() {
    let (store, asked) = counted();
    let cache = Cache::with_runtime(
        store,
        &Options::default(),
        Runtime::tokio_with(Clock::manual().0),
    );
    for time in 1..=3 {
        assert!(cache.bypassing.configs.find(AGENT).await.unwrap().is_some());
        assert_eq!(asked.load(Ordering::SeqCst), time);
    }
    cache.repositories.configs.find(AGENT).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4, "a bypass stores nothing");
}

#[test]
fn the_tables_in_the_architecture_are_the_codes_tables() {
    assert_eq!(between("regions"), regions_table());
    let head = "| write | makes stale |\n|---|---|\n".to_owned();
    let table = stale_table().iter().fold(head, |table, (write, stale)| {
        table + &format!("| `{write}` | {stale} |\n")
    });
    assert_eq!(between("stale"), table);
}

#[tokio::test]
async fn expired_entries_are_removed_every_five_minutes_and_the_log_tells_so_with_the_statistics() {
    assert_eq!(CLEANUP_INTERVAL, Duration::from_mins(5));
    let jobs = Jobs::begin().await;
    jobs.read_rooms(3, 1).await;
    jobs.hand
        .advance(CLEANUP_INTERVAL.saturating_sub(NANOSECOND));
    jobs.settled().await;
    assert_eq!(heard(), [] as [String; 0], "nothing before its time");
    jobs.hand.advance(NANOSECOND);
    jobs.settled().await;
    let lines = heard();
    assert!(
        lines.contains(&"INFO expired entries removed removed=3".to_owned()),
        "{lines:#?}"
    );
    for region in jobs.manager.regions() {
        let of = |line: &&String| line.starts_with(&format!("INFO statistics region={region:?} "));
        assert_eq!(lines.iter().filter(of).count(), 1, "{region} in {lines:#?}");
    }
    let rooms = lines
        .iter()
        .find(|line| line.contains("\"room_obj\""))
        .unwrap();
    assert_eq!(
        rooms,
        "INFO statistics region=\"room_obj\" hits=0 misses=3 hit_rate=0.0 size=0 invalidations=0 loads=3 refused_stores=0"
    );
    heard_and_forgotten();
    let later = jobs.next_interval().await;
    assert!(
        later.contains(&"INFO expired entries removed removed=0".to_owned()),
        "and again five minutes later: {later:#?}"
    );
}

#[tokio::test]
async fn a_low_hit_rate_is_warned_of_by_region_from_a_hundred_requests_in_one_interval() {
    let jobs = Jobs::begin().await;
    jobs.read_rooms(usize::try_from(MIN_REQUESTS).unwrap() - 1, 1)
        .await;
    assert_eq!(
        warnings(&jobs.next_interval().await),
        [] as [&str; 0],
        "99 requests say too little"
    );
    jobs.read_rooms(100, 1).await;
    assert_eq!(
        warnings(&jobs.next_interval().await),
        ["WARN low hit rate region=\"room_obj\" hit_rate=0.0 requests=100"]
    );
    assert_eq!(
        warnings(&jobs.next_interval().await),
        [] as [&str; 0],
        "an interval is judged by itself"
    );
    jobs.read_rooms(20, 4).await;
    jobs.read_rooms(10, 2).await;
    assert_eq!(
        warnings(&jobs.next_interval().await),
        [] as [&str; 0],
        "70 of 100 are enough"
    );
    jobs.read_rooms(21, 4).await;
    jobs.read_rooms(6, 2).await;
    jobs.read_rooms(4, 1).await;
    assert_eq!(
        warnings(&jobs.next_interval().await),
        ["WARN low hit rate region=\"room_obj\" hit_rate=69.0 requests=100"]
    );
}

/// Reads at the begin, a nanosecond before `ttl` and at it, and counts what the store was asked.
async fn reloads_at(
    ttl: Duration,
    options: &Options,
    read: fn(Repositories) -> BoxFuture<'static, ()>,
    region: &str,
) {
    let (store, asked) = counted();
    let (clock, hand) = Clock::manual();
    let cache = Cache::with_runtime(store, options, Runtime::tokio_with(clock));
    let mut counts = Vec::new();
    for wait in [Duration::ZERO, ttl.saturating_sub(NANOSECOND), NANOSECOND] {
        hand.advance(wait);
        read(cache.repositories.clone()).await;
        counts.push(asked.load(Ordering::SeqCst));
    }
    assert_eq!(counts, [1, 1, 2], "{region} with a TTL of {ttl:?}");
}

/// The TTL that docs/architecture.md gives for a region.
fn documented(region: &str, preset: Preset) -> Duration {
    let column = match preset {
        Preset::Classic => 3,
        Preset::Coherent => 4,
    };
    let table = between("regions");
    let row = table
        .lines()
        .find(|row| row.starts_with(&format!("| `{region}:")))
        .unwrap_or_else(|| panic!("{region} has no row"));
    let cell = row.split('|').nth(column).unwrap().trim();
    Duration::from_secs(
        cell.strip_suffix(" s")
            .expect("a TTL is in seconds")
            .parse()
            .unwrap(),
    )
}

/// What stands in docs/architecture.md between `<!-- name -->` and `<!-- /name -->`.
fn between(name: &str) -> String {
    let text = fs::read_to_string(tests::workspace().join("docs/architecture.md")).unwrap();
    let (_, rest) = text
        .split_once(&format!("<!-- {name} -->\n"))
        .unwrap_or_else(|| panic!("there is no table {name}"));
    rest.split_once(&format!("<!-- /{name} -->"))
        .unwrap()
        .0
        .to_owned()
}

/// A store of mocks that knows one agent, and one room with that agent and a message; and how often it was asked.
fn counted() -> (Repositories, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = || {
        let asked = asked.clone();
        move || {
            asked.fetch_add(1, Ordering::SeqCst);
        }
    };
    let (mut agents, mut configs, mut rooms, mut messages) = (
        MockAgents::new(),
        MockAgentConfigs::new(),
        MockRooms::new(),
        MockMessages::new(),
    );
    let one = count();
    agents.expect_find_many().returning(move |_| {
        one();
        Ok(vec![agent()])
    });
    let one = count();
    configs.expect_find().returning(move |_| {
        one();
        Ok(Some(Arc::default()))
    });
    let one = count();
    configs.expect_find_again().returning(move |ids| {
        one();
        Ok(ids.iter().map(|id| (*id, Arc::default())).collect())
    });
    let one = count();
    rooms.expect_find().returning(move |id| {
        one();
        Ok(Some(room(id)))
    });
    let one = count();
    rooms.expect_members().returning(move |_| {
        one();
        Ok([Member {
            agent: AGENT,
            joined_after_seq: Seq(0),
            joined_at: Timestamp::default(),
        }]
        .into())
    });
    let one = count();
    messages.expect_end().returning(move |_, _| {
        one();
        Ok(Some(LogEnd {
            last_seq: Seq(1),
            messages: vec![tests::message(ROOM, 1)],
        }))
    });
    let store = Repositories {
        agents: Arc::new(agents),
        configs: Arc::new(configs),
        rooms: Arc::new(rooms),
        messages: Arc::new(messages),
        ..memory::repositories()
    };
    (store, asked)
}

fn agent() -> Arc<Agent> {
    Arc::new(Agent {
        id: AGENT,
        name: AgentName::parse("Ada").unwrap(),
        group: None,
        config_file: "Ada/agent.yaml".into(),
        created_at: Timestamp::default(),
        deleted_at: None,
        version: 1,
    })
}

fn room(id: RoomId) -> Arc<Room> {
    Arc::new(Room {
        id,
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        direct_agent: None,
        max_interactions: None,
        is_paused: false,
        finished_seq: None,
        last_error: None,
        created_at: Timestamp::default(),
        version: 1,
    })
}

/// The cleanup job over a cache of mocks, which know any room.
struct Jobs {
    cache: Cache,
    manager: Manager,
    hand: ManualClock,
    next: AtomicUsize,
}

impl Jobs {
    async fn begin() -> Self {
        listen();
        let (clock, hand) = Clock::manual();
        let cache =
            Cache::with_runtime(counted().0, &Options::default(), Runtime::tokio_with(clock));
        let manager = cache.manager.clone();
        tokio::spawn(app::clean_up(manager.clone()));
        let jobs = Self {
            cache,
            manager,
            hand,
            next: AtomicUsize::new(0),
        };
        jobs.settled().await;
        jobs
    }

    /// Reads so many rooms that were not read before, each so often.
    async fn read_rooms(&self, rooms: usize, times: usize) {
        for _ in 0..rooms {
            let id = RoomId(i64::try_from(self.next.fetch_add(1, Ordering::SeqCst)).unwrap() + 1);
            for _ in 0..times {
                self.cache.repositories.rooms.find(id).await.unwrap();
            }
        }
    }

    /// Lets the job run until it waits for its next time; there is one thread.
    async fn settled(&self) {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(self.hand.sleepers() >= 1, "the job waits");
    }

    /// What is said at the end of the next interval.
    async fn next_interval(&self) -> Vec<String> {
        self.hand.advance(CLEANUP_INTERVAL);
        self.settled().await;
        heard_and_forgotten()
    }
}

fn warnings(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("WARN"))
        .collect()
}

/// Lets this thread hear the events of the target `cache`.
fn listen() {
    events::capture(Level::INFO);
}

fn heard() -> Vec<String> {
    printed(events::captured())
}

fn heard_and_forgotten() -> Vec<String> {
    printed(events::take())
}

fn printed(events: Vec<events::Event>) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}
