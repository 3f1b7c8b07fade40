//! A coherent TTL cache: **no read that starts after an acknowledged write returns anything older**.
//!
//! Whatever is in progress for a key, its open writes and its load, stands in one small striped map; the store holds
//! only values. A write removes the value and the load of each of its keys before it begins, and while one is open
//! nobody stores. A load is stored only if, when it ends, it still stands there.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use cache_core::{Manager, Policy, Runtime};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let manager = Manager::builder(Runtime::tokio()).build();
//! let names = manager.region::<u64, String>("names", Policy::new(Duration::from_secs(60), 10_000));
//! let load = || async { Ok::<_, Infallible>(Some("Ada".to_owned())) };
//! assert_eq!(names.get_or_load(7, load).await.unwrap().value.as_deref(), Some("Ada"));
//! assert_eq!(names.get(&7).as_deref(), Some("Ada"));
//! # }
//! ```
//!
//! | part | does |
//! |---|---|
//! | [`Manager`] | makes regions and guards; statistics, cleanup, invalidation by hand, switching off, shutdown |
//! | [`Region`] | one kind of data: `get_or_load`, batches, bypass, plain `get`, `insert`, `remove` |
//! | [`TailRegion`] | the ends of logs, appended to on write: a hot log stays in memory |
//! | [`Lease`] | that values in memory are still the same, told without looking them up |
//! | [`Listener`] | wakes who waits for a key's next write, after it was applied |
//! | [`WriteGuard`] | holds the windows of a write path of yours: `guard().key(…).run(write, …)` |
//! | [`Policy`] | TTL, capacity, jitter, refresh-ahead, fail-safe, absence |
//! | [`Stats`] | hits, misses, loads, refused stores, evictions by cause, windows |
//! | [`Clock`], [`Runtime`] | time and tasks, taken from outside |
//!
//! Memory: a region of `capacity` entries takes at most `capacity * (2 * (size_of::<K>() + size_of::<V>()) + 160)` bytes
//! and 64 KiB, besides what keys and values own on the heap (a test fills regions and compares).
//!
//! Events go to the tracing target `cache` at debug level.
//!
//! The loader of a read must read the primary source: what it returns has to show every write committed before it began.

mod bells;
mod clock;
pub mod creates;
mod flight;
mod guard;
mod inner;
mod lease;
mod load;
pub mod log;
mod manager;
pub mod progress;
mod region;
mod runtime;
mod scope;
mod shared;
mod stats;
mod steps;
mod store;
mod sync;
mod tail;
mod validate;

pub use bells::Listener;
pub use clock::{Clock, ManualClock, Nanos};
pub use flight::LoadError;
pub use guard::{Stores, WriteError, WriteGuard, Written};
pub use lease::Lease;
pub use manager::{Builder, Manager};
pub use region::{Age, Key, Policy, Read, Region, Source};
pub use runtime::Runtime;
pub use shared::{Fault, SettleFn};
pub use stats::Stats;
pub use tail::{TailRead, TailRegion};
