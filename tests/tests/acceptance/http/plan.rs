//! The parameters of a run: its store, its planted fault and its number of writes.

use std::time::Duration;

use cache_core::Fault;
use tests::staleness::ItemKind;

/// The kind of store behind the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreKind {
    Sqlite,
    /// The in-memory backend with random delays.
    SlowMemory,
}

/// The parameters of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The fault that is planted in the cache.
    pub(super) fault: Fault,
    pub(super) store: StoreKind,
    pub(super) writes: usize,
    /// The percentage of reads that bypass the cache.
    pub(super) bypass_percent: usize,
    /// The TTL of all regions, or `None` for the defaults.
    pub(super) ttl: Option<Duration>,
}

/// A kind of write.
#[derive(Clone, Copy, Debug)]
pub(super) enum WriteKind {
    Message,
    Room,
    Membership,
    Agent,
    /// A clear, a creation or a deletion.
    Other,
}

/// The part of the state that a write changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum WriteTarget {
    Log(usize),
    Room(usize),
    Members(usize),
    Agent(usize),
    Transient { kind: ItemKind, id: i64 },
}
