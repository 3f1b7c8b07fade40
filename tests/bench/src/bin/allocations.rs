//! Counts what is allocated: per hit by each cache, or per entry by the region. As JSON: names, and bytes.

use std::{alloc::System, sync::Arc, time::Duration};

use bench::contestants::{self, KEYS};
use cache_core::{Manager, Policy, Runtime};
use conformance::peers::Filled;
use domain::RoomId;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let found = match std::env::args().nth(1).as_deref() {
        Some("hits") => runtime.block_on(hits()),
        Some("entries") => {
            runtime.block_on(async { [1_000, 10_000, 100_000, 1_000_000].map(entries).to_vec() })
        }
        _ => panic!("what is counted: hits, or entries"),
    };
    println!(
        "{}",
        serde_json::to_string(&found).expect("names and numbers are JSON")
    );
}

/// Bytes per hit, when each key was read before.
#[expect(clippy::cast_precision_loss, reason = "a mean of bytes")]
async fn hits() -> Vec<(String, f64)> {
    let keys: Vec<_> = (1..=KEYS)
        .map(|key| RoomId(i64::try_from(key).expect("few")))
        .collect();
    let contestants = contestants::all().await;
    let bytes = |contestant: &Filled<RoomId>| {
        (contestant.read_all)(&keys);
        let region = Region::new(HEAP);
        (contestant.read_all)(&keys);
        region.change().bytes_allocated as f64 / KEYS as f64
    };
    contestants
        .iter()
        .map(|contestant| (contestant.name.to_owned(), bytes(contestant)))
        .collect()
}

/// Bytes per entry that a full region keeps, of a key of 8 bytes and a value that takes no heap of its own.
#[expect(clippy::cast_precision_loss, reason = "a mean of bytes")]
fn entries(count: u64) -> (String, f64) {
    let manager = Manager::builder(Runtime::tokio()).build();
    let region = Region::new(HEAP);
    let kept =
        manager.region::<u64, Arc<u64>>("entries", Policy::new(Duration::from_hours(1), count));
    let value = Arc::new(0);
    for key in 0..count {
        assert!(kept.insert(key, value.clone()), "nothing is written");
    }
    let change = region.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) as f64;
    let size = manager.stats()[0].2.size;
    (count.to_string(), bytes / size as f64)
}
