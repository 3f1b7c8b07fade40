//! A coherent TTL cache: **no read that starts after an acknowledged write returns an older
//! value**.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use cache_core::{Manager, Policy, Runtime, Unknown};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let manager = Manager::new(Runtime::tokio(), Unknown::Never);
//! let policy = Policy::new(Duration::from_secs(60), 10_000);
//! let names = manager.region::<u64, String>("names", policy);
//!
//! // Stands for a statement of a database, which may fail.
//! let load = || async { Ok::<_, Infallible>(Some("Ada".to_owned())) };
//! assert_eq!(names.get_or_load(7, load).await.unwrap().value.as_deref(), Some("Ada"));
//! assert_eq!(names.get(&7).as_deref(), Some("Ada"));
//! # }
//! ```
//!
//! Most caching layers break this promise: they store a load that began before an invalidation,
//! invalidate before the commit, or skip the invalidation when the caller is cancelled. This crate
//! registers everything in progress for a key, its open writes and its load, in one small striped
//! map. Before a write begins, the key's value is removed and its load is unregistered. While the
//! write is open, nothing is stored for the key. A load is stored only if it is still registered
//! when it ends.
//!
//! The promise holds for one process in which every write of the source goes through a
//! [`WriteGuard`]. Any other edit stays hidden until the TTL ends, at most. If [other
//! processes](#other-processes) write, too, their writes stay hidden for a bounded time.
//!
//! | concept | type | costs |
//! |---|---|---|
//! | [region](#region) | [`Region`] | a hit: one look-up in `quick_cache`, no lock of this crate |
//! | [write guard](#write-guard) | [`WriteGuard`] | two locks a key; misses bypass the cache |
//! | [tail](#tail) | [`TailRegion`], [`Fold`] | a hit locks the log; an append clones its entry |
//! | [request](#request) | [`Request`], [`Entry`] | nothing on a hit |
//! | [tag](#tag) | [`Entry::tag`] | an index entry a tag; one lock when it is stored or removed |
//! | [ticket](#ticket) | [`Ticket`] | two locks |
//! | [lease](#lease) | [`Lease`] | a check: two atomic loads; each change writes one counter |
//! | [other processes](#other-processes) | [`Builder::others_write`] | a report removes its keys |
//! | [listener](#listener) | [`Listener`] | one atomic load a write until a task listens |
//! | [fail-safe](#fail-safe) | [`Policy::fail_safe`] | expired values stay longer in memory |
//! | [absence](#absence) | [`Policy::absences`] | a second look-up on a miss |
//! | [settle](#settle) | [`Unknown`] | one task while a write is of unknown outcome |
//! | [without an executor](#without-an-executor) | [`Runtime::threads`] | the caller's thread |
//! | [cleanup](#cleanup) | [`Manager::cleanup`] | one pass over all entries |
//!
//! # Region
//!
//! A [`Region`] caches one kind of data under one [`Policy`]. A miss runs the caller's loader as a
//! task, and all readers of the key share it. **Loaders** must read the primary source and see
//! every write that was committed before they began. A loader that reads the key that it loads gets
//! [`LoadError::Nested`]. `V` is cloned on each hit, so it should be an `Arc` or a small value.
//!
//! With [`Policy::refresh_after`], a read of an ageing value starts a load in the background. With
//! [`Policy::time_to_idle`], values that nobody reads expire. A [`RegionBuilder`] gives a region a
//! weigher, printed keys, or a listener that learns of each value that leaves.
//!
//! # Write guard
//!
//! A [`WriteGuard`] names the keys that a write makes stale, runs the write in a task, and returns
//! after its windows are closed. The caller may be cancelled at any time. A write that returns a
//! key's whole value can store it:
//!
//! ```
//! # use cache_core::*;
//! # use std::{convert::Infallible, time::Duration};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
//! # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
//! let update = async { Written::<_, Infallible>::Committed("Grace") };
//! let guard = manager.guard().key_storing(&names, 7, |row| Some(*row));
//! guard.run(update).await.unwrap();
//! assert_eq!(names.get(&7), Some("Grace"));
//! # }
//! ```
//!
//! # Tail
//!
//! A [`TailRegion`] keeps the ends of logs, such as the newest messages of a chat room. An insert
//! into the log is applied to the copy in memory, so the copy stays while the log grows. The type
//! shows a whole example.
//!
//! # Request
//!
//! A [`Request`] is a read with its own timeouts. Its load may return an [`Entry`], which gives the
//! value its own TTL and tags.
//!
//! # Tag
//!
//! Entries of any keys and regions can carry a tag, and are invalidated by it:
//!
//! ```
//! # use cache_core::*;
//! # use std::{convert::Infallible, time::Duration};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), LoadError<Infallible>> {
//! # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
//! # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
//! let load = || async { Ok(Some(Entry::new("Ada").tag("engineers"))) };
//! names.request(7).load_entry(load).await?;
//! assert_eq!(manager.invalidate_tag("engineers"), 1);
//! # Ok(()) }
//! ```
//!
//! # Ticket
//!
//! A [`Ticket`] is for a caller who reads the source by itself. What it read is stored unless a
//! write came in between, which [`Region::insert`] could not know. [`Manager::upsert`] runs a write
//! that depends on the value in memory.
//!
//! # Lease
//!
//! A [`Lease`] states that values are unchanged. A result that was derived from them may be reused
//! while the lease holds:
//!
//! ```
//! # use cache_core::*;
//! # use std::time::Duration;
//! # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
//! # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
//! names.insert(7, "Ada");
//! let lease = names.lease(&[7]).expect("the value is in memory");
//! let length = names.get(&7).map(str::len);
//! assert!(names.holds(&lease) && length == Some(3));
//! ```
//!
//! # Front
//!
//! A [`Front`] is for a value that many threads read all the time, such as a room that many people
//! watch. Each thread keeps a small fact of the value, and a glance at it writes nothing that
//! threads share. It is as current as a look-up.
//!
//! # Other processes
//!
//! With [`Builder::others_write`], other processes may write to the source, too. The caller reads
//! their changes from the source, reports these, and then calls [`Manager::renew`]. No read returns
//! a value that is older than their writes by more than the bound. Without renewals, a value is
//! served only within the bound of its own load. Clocks of different machines are never compared. A
//! read still sees each earlier write of its own process, and per key no reader of one process
//! reads an older value after a newer one.
//!
//! # Listener
//!
//! A [`Listener`] waits for the next write of a key, for example to answer a long poll:
//!
//! ```
//! # use cache_core::*;
//! # use std::{convert::Infallible, time::Duration};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
//! # let policy = Policy::new(Duration::from_secs(60), 100);
//! # let names = manager.region::<u64, &str>("names", policy);
//! let mut listener = names.listen(7);
//! let update = async { Written::<_, Infallible>::Committed(()) };
//! manager.guard().key(&names, 7).run(update).await.unwrap();
//! listener.rung().await;
//! # }
//! ```
//!
//! # Fail-safe
//!
//! A region with [`Policy::fail_safe`] returns an expired value, marked as [`Source::Stale`], when
//! its load fails. A write removes expired values, too, so the promise still holds:
//!
//! ```
//! # use cache_core::*;
//! # use std::time::Duration;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), LoadError<std::fmt::Error>> {
//! # let (clock, hand) = Clock::manual();
//! # let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
//! let minute = Duration::from_secs(60);
//! let policy = Policy::new(minute, 100).fail_safe(10 * minute);
//! let names = manager.region("names", policy);
//! names.insert(7, "Ada");
//! # hand.advance(minute);
//! // A minute later, while the source is down:
//! let read = names.get_or_load(7, || async { Err(std::fmt::Error) }).await?;
//! assert_eq!((read.value, read.source), (Some("Ada"), Source::Stale));
//! # Ok(()) }
//! ```
//!
//! After a failure no load is tried for [`Policy::retry_after`] while an older value can be served.
//! With [`Policy::soft_timeout`], a slow load is waited for only so long, and goes on in the
//! background.
//!
//! # Absence
//!
//! A loader that returns `None` states that the key has no value. The absence is cached for
//! [`Policy::absence_ttl`]. A write may create a key that its caller cannot name beforehand, such
//! as a generated id. Its guard must then call [`WriteGuard::creating`]:
//!
//! ```
//! # use cache_core::*;
//! # use std::{convert::Infallible, time::Duration};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), LoadError<Infallible>> {
//! # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
//! # let policy = Policy::new(Duration::from_secs(60), 100);
//! # let names = manager.region::<u64, &str>("names", policy);
//! let missing = || async { Ok(None) };
//! assert_eq!(names.get_or_load(7, missing).await?.source, Source::Loaded);
//! assert_eq!(names.get_or_load(7, missing).await?.source, Source::Hit);
//! # Ok(()) }
//! ```
//!
//! # Settle
//!
//! After a timeout, a panic or a connection lost at COMMIT, a write may still be applied. Reads of
//! its keys bypass the cache until that can no longer happen. [`Unknown`] says how the cache finds
//! this out, and every manager must choose:
//!
//! ```
//! # use cache_core::*;
//! # async fn rollback_everything() -> Result<(), std::fmt::Error> { Ok(()) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let settle = || async { rollback_everything().await.map_err(SettleError::failed) };
//! let manager = Manager::new(Runtime::tokio(), Unknown::settled_by(settle));
//! assert!(manager.settle().await.is_ok());
//! # }
//! ```
//!
//! # Without an executor
//!
//! [`Region::get_or_load_blocking`] and [`WriteGuard::run_blocking`] run on the caller's thread.
//! With [`Runtime::threads`] they need no executor. Batches, tails and upserts are asynchronous;
//! any executor can run them.
//!
//! # Cleanup
//!
//! An expired entry is not served, but it keeps its memory until it is evicted, replaced, or
//! removed by [`Manager::cleanup`]. [`Manager::spawn_cleanup`] calls this method regularly:
//!
//! ```
//! # use cache_core::*;
//! # use std::time::Duration;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let (clock, hand) = Clock::manual();
//! # let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
//! # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
//! names.insert(7, "Ada");
//! # hand.advance(Duration::from_secs(60));
//! // A minute later:
//! assert_eq!(manager.cleanup().await, 1);
//! # }
//! ```
//!
//! # Memory
//!
//! A region of `capacity` entries takes at most
//! `capacity * (2 * (size_of::<K>() + size_of::<V>()) + 160)` bytes and 64 KiB, not counting what
//! keys and values own on the heap. A test fills regions and checks this bound. Tags, a time to
//! idle and fail-safe cost about 100 bytes an entry more.
//!
//! # Events
//!
//! Hits, misses, loads, invalidations and evictions are events of the `tracing` target `cache`, at
//! level debug. Writes of unknown outcome are warnings. Values are never logged.
//!
//! Loads and writes that run in tasks have the spans `load` and `write` at level info, whose field
//! `outcome` says how they ended. They are parts of their caller's span, unless the caller does not
//! wait for them, as for a refresh.
//!
//! The [glossary] explains the words of this crate, such as window, flight, floor and settle.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

/// The code of the README, which is tested as documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod block_on;
mod clock;
mod context;
mod manager;
mod nesting;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod protocol;
#[cfg(not(feature = "internals"))]
#[expect(
    unreachable_pub,
    reason = "public with the feature `internals`, for the models"
)]
mod protocol;
mod region;
mod rules;
mod runtime;
mod stats;
mod sync;
mod tail;
mod write;

pub use clock::{Clock, ManualClock, Nanos};
pub use manager::{
    Manager,
    builder::Builder,
    regions::{RegionBuilder, TailRegionBuilder},
};
pub use protocol::log::Fold;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use region::validate::Inconsistency;
pub use region::{
    Region,
    entry::Entry,
    front::Front,
    inspect::{Entries, EntryInfo},
    lease::Lease,
    listeners::Listener,
    loader::{LoadError, LoaderError},
    policy::{Key, Policy},
    read::{Age, Read, Source},
    removal::Removal,
    request::Request,
    ticket::Ticket,
};
#[cfg(feature = "faults")]
pub use rules::Fault;
pub use runtime::Runtime;
pub use stats::{RegionStats, Stats};
pub use tail::{TailRead, TailRegion, front::TailFront};
pub use write::{
    error::WriteError,
    guard::{WriteGuard, Written},
    settle::{SettleError, SettleFn, Unknown},
};
