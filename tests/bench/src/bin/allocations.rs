//! Counts allocated bytes per hit of each cache, or per entry of a region. Prints a JSON list of
//! names and bytes.

use std::{alloc::System, sync::Arc, time::Duration};

use bench::contestants::{self, KEYS};
use cache_core::{Manager, Policy, Runtime, Unknown};
use conformance::peers::Filled;
use domain::RoomId;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the operating system provides a timer and I/O events");
    let counts = match std::env::args().nth(1).as_deref() {
        Some("hits") => runtime.block_on(count_hits()),
        Some("entries") => runtime.block_on(async {
            [1_000, 10_000, 100_000, 1_000_000]
                .map(count_entries)
                .to_vec()
        }),
        _ => panic!("the argument must be `hits` or `entries`"),
    };
    println!(
        "{}",
        serde_json::to_string(&counts).expect("names and finite numbers have a JSON form")
    );
}

/// Returns the allocated bytes per hit of each cache. The counted reads are of keys that were read
/// before.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float represents the bytes of one run exactly"
)]
async fn count_hits() -> Vec<(String, f64)> {
    let keys: Vec<_> = (1..=KEYS)
        .map(|key| RoomId(i64::try_from(key).expect("the number of keys is small")))
        .collect();
    let contestants = contestants::all().await;
    let bytes_per_hit = |contestant: &Filled<RoomId>| {
        (contestant.read_all)(&keys);
        let region = Region::new(HEAP);
        (contestant.read_all)(&keys);
        region.change().bytes_allocated as f64 / KEYS as f64
    };
    contestants
        .iter()
        .map(|contestant| (contestant.name.to_owned(), bytes_per_hit(contestant)))
        .collect()
}

/// Returns the number of inserted entries, and the heap bytes per entry of a full region. A key
/// takes 8 bytes. A value takes 8 bytes, too: it is a pointer to a heap value that all entries
/// share.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float represents the bytes of one run exactly"
)]
fn count_entries(count: u64) -> (String, f64) {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let heap = Region::new(HEAP);
    let entries =
        manager.region::<u64, Arc<u64>>("entries", Policy::new(Duration::from_hours(1), count));
    let value = Arc::new(0);
    for key in 0..count {
        assert!(
            entries.insert(key, value.clone()),
            "insertion {key} must succeed while no write is open"
        );
    }
    let change = heap.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) as f64;
    let size = manager.stats()[0].stats.size;
    (count.to_string(), bytes / size as f64)
}
