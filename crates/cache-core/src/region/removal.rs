//! The reasons why a value leaves a region, and the function that is called then.

/// The reason why a value left a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Removal {
    /// Its TTL or its time to idle had ended. This reason precedes all others.
    Expired,
    /// The region was full.
    Evicted,
    /// Another value of its key was stored, or the key has no value any more.
    Replaced,
    /// A write made it stale.
    Written,
    /// It was removed by hand.
    Invalidated,
}

/// A function that is called with each value that leaves a region.
pub(crate) type RemovalListener<K, V> = Box<dyn Fn(K, V, Removal) + Send + Sync>;
