//! Filled caches for the benchmarks of hits.

use std::time::Duration;

/// A cache that contains all keys that a benchmark reads.
pub struct Filled<K> {
    /// The name in the report.
    pub name: &'static str,
    /// Reads each of the given keys once. Every key must be cached.
    pub read_all: ReadAll<K>,
}

/// A function that reads each of the given keys from one cache.
pub type ReadAll<K> = Box<dyn Fn(&[K]) + Send + Sync>;

/// The capacity and the TTL of a cache that a benchmark fills.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The maximum number of entries.
    pub capacity: usize,
    /// The TTL. Caches without TTLs ignore it.
    pub ttl: Duration,
}

/// Creates a [`Filled`] cache. The macro generates a loop for each cache, so that the loop calls
/// the lookup directly and not through a pointer.
#[macro_export]
macro_rules! filled {
    ($name:expr, |$key:ident| $read:expr) => {
        $crate::peers::Filled {
            name: $name,
            read_all: Box::new(move |keys| {
                for $key in keys {
                    std::hint::black_box($read.expect("every key is cached"));
                }
            }),
        }
    };
    // For lookups that return a future. The future of a hit is ready at the first poll.
    (await $name:expr, |$key:ident| $read:expr) => {
        $crate::peers::Filled {
            name: $name,
            read_all: Box::new(move |keys| {
                let read = async {
                    for $key in keys {
                        std::hint::black_box($read.expect("every key is cached"));
                    }
                };
                futures_util::FutureExt::now_or_never(read).expect("a hit does not wait");
            }),
        }
    };
}
