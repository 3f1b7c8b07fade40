//! Tests of TTLs: the documented ones, the configured ones, and reads that bypass the cache.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use app::{Flags, RegionFlag, Settings};
use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, Runtime};
use contract::memory;
use domain::Repositories;
use futures_util::future::BoxFuture;
use tests::{
    decorate::{Around, decorate},
    fake_responder::FakeResponder,
    server::TestServer,
    tables,
};

use crate::{
    counted_store::{AGENT, ROOM, counted_store},
    stores::Place,
};

const NANOSECOND: Duration = Duration::from_nanos(1);

/// A function that reads a region's data. It panics if the data does not exist.
type RegionRead = fn(Repositories) -> BoxFuture<'static, ()>;

/// The regions whose TTLs are fixed by the requirements, each with a function that reads it.
const REGION_READS: [(&str, RegionRead); 5] = [
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
async fn each_region_reloads_at_the_instant_of_its_documented_ttl_and_not_a_nanosecond_before() {
    for preset in [Preset::Classic, Preset::Coherent] {
        for (region, read) in REGION_READS {
            assert_reloads_at(
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
    for (region, read) in REGION_READS {
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
        assert_reloads_at(Duration::from_millis(1234), &settings.cache, read, region).await;
        let (clock, _) = Clock::manual();
        let app = tests::server::app_over(memory::repositories(), &settings, clock);
        for found in app.cache.manager.stats() {
            let name = found.name;
            let expected = if name == region {
                Duration::from_millis(1234)
            } else {
                documented(name, Preset::Classic)
            };
            assert_eq!(
                found.policy.ttl, expected,
                "TTL of {name} when {region} is set"
            );
        }
    }
}

#[tokio::test]
async fn a_bypass_reads_the_store_each_time_and_stores_nothing() {
    let store = counted_store();
    let cache = Cache::with_runtime(
        store.repositories.clone(),
        &Options::default(),
        Runtime::tokio_with(Clock::manual().0),
    );
    for time in 1..=3 {
        assert!(cache.bypassing.configs.find(AGENT).await.unwrap().is_some());
        assert_eq!(store.reads(), time);
    }
    cache.repositories.configs.find(AGENT).await.unwrap();
    assert_eq!(store.reads(), 4, "a bypass must store nothing");
}

#[tokio::test]
async fn polls_of_a_watched_room_run_no_statement_whether_one_tab_polls_or_fifty() {
    let settings = Settings::read(Flags::default()).unwrap();
    assert_eq!(settings.cache.preset, Preset::Classic);
    for tabs in [1, 50] {
        let store = counted_store();
        let (clock, hand) = Clock::manual();
        let runtime = Runtime::tokio_with(clock);
        let cache = Cache::with_runtime(store.repositories.clone(), &settings.cache, runtime);
        let polls = 300 * tabs;
        let mut statements = 0;
        for _ in 0..polls {
            hand.advance(Duration::from_secs(2) / tabs);
            let before = store.reads();
            poll(&cache.repositories).await;
            statements += u32::from(store.reads() > before);
            // Loads in the background refresh the values that are due.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        assert!(
            statements * 100 <= polls,
            "{statements} of {polls} polls of {tabs} tabs ran statements"
        );
        let stats = cache.manager.stats();
        let refreshes: u64 = stats.iter().map(|region| region.stats.refreshes).sum();
        assert!(refreshes > 100, "the data was not refreshed: {refreshes}");
    }
}

/// The reads of the store that are running.
#[derive(Default)]
struct RunningReads(AtomicUsize);

impl RunningReads {
    /// Waits until the loads that were begun have ended.
    async fn end(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let has_ended = || self.0.load(Ordering::SeqCst) == 0;
        tests::wait::until("the loads in the background end", has_ended).await;
    }
}

impl Around for RunningReads {
    async fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, domain::Result<T>>,
    ) -> domain::Result<T> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let result = read.await;
        self.0.fetch_sub(1, Ordering::SeqCst);
        result
    }

    async fn write<T: Send + 'static>(
        &self,
        write: BoxFuture<'static, domain::Result<T>>,
    ) -> domain::Result<T> {
        write.await
    }
}

#[tokio::test]
async fn one_tab_that_polls_over_http_is_served_from_memory() {
    let (clock, hand) = Clock::manual();
    let store = Place::sqlite().open().await;
    let running = Arc::new(RunningReads::default());
    let ports = decorate(store.r.clone(), running.clone());
    let classic = Settings::read(Flags::default()).unwrap().cache;
    let server =
        TestServer::start_answering_with_clock(clock, ports, FakeResponder::polite(), |settings| {
            settings.cache = classic;
        })
        .await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let agent = client.create_agent("Ada").await;
    client.add_member(room, agent).await;
    let last = client.send_message(room, "hello").await;
    server.wait_for_answers().await;
    let path = format!("/rooms/{room}/messages/poll?since_id={last}");
    let mut misses = 0;
    for _ in 0..300 {
        hand.advance(Duration::from_secs(2));
        misses += u32::from(client.get(&path).await.is_hit() != Some(true));
        running.end().await;
    }
    assert!(
        misses <= 3,
        "{misses} of 300 polls were not served from memory"
    );
    server.end().await;
}

/// Reads what a poll of a room reads.
async fn poll(ports: &Repositories) {
    let room = ports.rooms.find(ROOM).await.unwrap();
    let activity = ports.rooms.activity(ROOM).await.unwrap();
    let members = ports.rooms.members(ROOM).await.unwrap();
    let page = ports.messages.recent(ROOM, None, 20).await.unwrap();
    assert!(room.is_some() && activity.is_some());
    assert_eq!((members.len(), page.len()), (1, 1));
}

/// Reads three times: at the beginning, a nanosecond before `ttl` has passed, and when `ttl` has
/// passed. Asserts that only the first and the last read reach the store.
async fn assert_reloads_at(ttl: Duration, options: &Options, read: RegionRead, region: &str) {
    let store = counted_store();
    let (clock, hand) = Clock::manual();
    let runtime = Runtime::tokio_with(clock);
    let cache = Cache::with_runtime(store.repositories.clone(), options, runtime);
    let mut counts = Vec::new();
    for wait in [Duration::ZERO, ttl.saturating_sub(NANOSECOND), NANOSECOND] {
        hand.advance(wait);
        read(cache.repositories.clone()).await;
        counts.push(store.reads());
    }
    assert_eq!(counts, [1, 1, 2], "{region} with a TTL of {ttl:?}");
}

/// Reads a region's TTL from the table in docs/architecture.md.
fn documented(region: &str, preset: Preset) -> Duration {
    let column = match preset {
        Preset::Classic => 3,
        Preset::Coherent => 4,
    };
    let tables = tables::tables();
    let regions = tables.iter().find(|table| table.name == "regions");
    let table = regions.unwrap().read().unwrap();
    let row = table
        .lines()
        .find(|row| row.starts_with(&format!("| `{region}:")))
        .unwrap_or_else(|| panic!("{} must have a row for {region}", tables::ARCHITECTURE));
    let cell = row.split('|').nth(column).unwrap().trim();
    let seconds = cell.strip_suffix(" s").expect("a TTL is in seconds");
    Duration::from_secs(seconds.parse().unwrap())
}
