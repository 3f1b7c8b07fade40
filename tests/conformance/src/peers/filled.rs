//! Caches that benchmarks of hits read.

use std::time::Duration;

/// A cache that contains all keys that a benchmark reads.
pub struct Filled<K> {
    /// The name in the report.
    pub name: &'static str,
    /// Reads each of these keys once. All of them are cached.
    pub read_all: ReadAll<K>,
}

/// A loop over keys that reads each from one cache.
pub type ReadAll<K> = Box<dyn Fn(&[K]) + Send + Sync>;

/// The sizes of the caches that a benchmark fills.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The greatest number of entries.
    pub capacity: usize,
    /// The TTL, where the cache has one.
    pub ttl: Duration,
}

/// Creates a [`Filled`] cache. The loop is generated for each cache, so that no indirect call
/// stands between the loop and the lookup.
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
    // For lookups that return a future, which is ready at once.
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
