//! The cleanup job: expired entries, statistics, and warnings of low hit rates.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use app::{CLEANUP_INTERVAL, MIN_REQUESTS};
use cache_adapter::{Cache, Options};
use cache_core::{Clock, Manager, ManualClock, Runtime};
use domain::RoomId;

use crate::{counted_store::counted_store, log_lines};

/// The smallest step of the clock.
const NANOSECOND: Duration = Duration::from_nanos(1);

#[tokio::test]
async fn every_five_minutes_expired_entries_are_removed_and_the_statistics_are_logged() {
    assert_eq!(CLEANUP_INTERVAL, Duration::from_mins(5));
    let job = CleanupJob::start().await;
    job.read_rooms(3, 1).await;
    job.hand
        .advance(CLEANUP_INTERVAL.saturating_sub(NANOSECOND));
    job.wait_until_idle().await;
    assert_eq!(
        log_lines::all(),
        [] as [String; 0],
        "the job must not run before its interval has passed"
    );
    job.hand.advance(NANOSECOND);
    job.wait_until_idle().await;
    let lines = log_lines::all();
    assert!(
        lines.contains(&"INFO expired entries removed removed=3".to_owned()),
        "{lines:#?}"
    );
    for region in job.manager.regions() {
        let start = format!("INFO statistics region={region:?} ");
        let count = lines.iter().filter(|line| line.starts_with(&start)).count();
        assert_eq!(count, 1, "lines about {region} in {lines:#?}");
    }
    let rooms = lines
        .iter()
        .find(|line| line.contains("\"room_obj\""))
        .unwrap();
    assert_eq!(
        rooms,
        "INFO statistics region=\"room_obj\" hits=0 misses=3 hit_rate=0.0 size=0 \
         invalidations=0 loads=3 refused_stores=0"
    );
    log_lines::take();
    let later = job.next_interval().await;
    assert!(
        later.contains(&"INFO expired entries removed removed=0".to_owned()),
        "the job must run again five minutes later: {later:#?}"
    );
}

#[tokio::test]
async fn a_low_hit_rate_of_a_region_is_logged_from_a_hundred_requests_in_one_interval() {
    let job = CleanupJob::start().await;
    job.read_rooms(usize::try_from(MIN_REQUESTS).unwrap() - 1, 1)
        .await;
    assert_eq!(
        warnings(&job.next_interval().await),
        [] as [&str; 0],
        "99 requests are too few for a warning"
    );
    job.read_rooms(100, 1).await;
    assert_eq!(
        warnings(&job.next_interval().await),
        ["WARN low hit rate region=\"room_obj\" hit_rate=0.0 requests=100"]
    );
    assert_eq!(
        warnings(&job.next_interval().await),
        [] as [&str; 0],
        "earlier intervals must not count"
    );
    job.read_rooms(20, 4).await;
    job.read_rooms(10, 2).await;
    assert_eq!(
        warnings(&job.next_interval().await),
        [] as [&str; 0],
        "a hit rate of 70 % is not low"
    );
    job.read_rooms(21, 4).await;
    job.read_rooms(6, 2).await;
    job.read_rooms(4, 1).await;
    assert_eq!(
        warnings(&job.next_interval().await),
        ["WARN low hit rate region=\"room_obj\" hit_rate=69.0 requests=100"]
    );
}

/// A running cleanup job and its cache. The store of the cache returns a room for every id.
struct CleanupJob {
    cache: Cache,
    manager: Manager,
    hand: ManualClock,
    /// The number of rooms that were read so far.
    rooms_read: AtomicUsize,
}

impl CleanupJob {
    async fn start() -> Self {
        log_lines::capture();
        let (clock, hand) = Clock::manual();
        let store = counted_store().repositories;
        let runtime = Runtime::tokio_with(clock);
        let cache = Cache::with_runtime(store, &Options::default(), runtime);
        let manager = cache.manager.clone();
        tokio::spawn(app::clean_up(manager.clone()));
        let job = Self {
            cache,
            manager,
            hand,
            rooms_read: AtomicUsize::new(0),
        };
        job.wait_until_idle().await;
        job
    }

    /// Reads `rooms` rooms that were not read before, each of them `times` times.
    async fn read_rooms(&self, rooms: usize, times: usize) {
        for _ in 0..rooms {
            let number = self.rooms_read.fetch_add(1, Ordering::SeqCst) + 1;
            let id = RoomId(i64::try_from(number).unwrap());
            for _ in 0..times {
                self.cache.repositories.rooms.find(id).await.unwrap();
            }
        }
    }

    /// Runs the job until it sleeps again. The runtime has one thread, and the job needs far fewer
    /// polls than this loop allows.
    async fn wait_until_idle(&self) {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(
            self.hand.sleepers() >= 1,
            "the job must sleep until its next interval"
        );
    }

    /// Advances the clock by one interval, and returns the lines that the job logs then.
    async fn next_interval(&self) -> Vec<String> {
        self.hand.advance(CLEANUP_INTERVAL);
        self.wait_until_idle().await;
        log_lines::take()
    }
}

fn warnings(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("WARN"))
        .collect()
}
