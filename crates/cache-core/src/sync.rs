//! Locks, atomics, permits and channels. Only this module imports them from std, tokio and shuttle.
//!
//! Under `--cfg shuttle` the schedule explorer's own locks and atomics replace std's, so that
//! `tests/schedules` explores the real types of this crate.

pub(crate) use std::sync::{Arc, Weak};

/// Locks and atomics of std that the explorer does not replace. Statistics use them, because they
/// are not part of the protocol.
pub(crate) mod plain {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) type Mutex<T> = super::Unpoisoned<std::sync::Mutex<T>>;
}

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
pub(crate) use tokio::sync::{
    Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit as OwnedPermit,
    Semaphore as Permits, oneshot,
};

#[cfg(not(shuttle))]
type RawMutex<T> = std::sync::Mutex<T>;
#[cfg(shuttle)]
type RawMutex<T> = shuttle::sync::Mutex<T>;

#[cfg(shuttle)]
pub(crate) use shuttle::thread_local;
#[cfg(not(shuttle))]
pub(crate) use std::thread_local;

/// Chooses the stripe of a key. Fixed under the explorer, so that a schedule can be replayed.
#[cfg(not(shuttle))]
pub(crate) type HashBuilder = std::hash::RandomState;
#[cfg(shuttle)]
pub(crate) type HashBuilder = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Chooses the count of a key's changes. Fixed under the explorer, as [`HashBuilder`] is.
#[cfg(not(shuttle))]
pub(crate) type FastHashBuilder = quick_cache::DefaultHashBuilder;
#[cfg(shuttle)]
pub(crate) type FastHashBuilder = HashBuilder;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, HashBuilder>;

pub(crate) type Mutex<T> = Unpoisoned<RawMutex<T>>;

/// A mutex that ignores poisoning, because no holder panics with the data half changed.
#[derive(Debug, Default)]
pub(crate) struct Unpoisoned<M>(M);

macro_rules! mutex {
    ($($raw:ident $(::$rest:ident)*),*) => {$(
        impl<T> Unpoisoned<$raw$(::$rest)*<T>> {
            pub(crate) const fn new(value: T) -> Self {
                Self($raw$(::$rest)*::new(value))
            }

            pub(crate) fn lock(&self) -> guard!($raw, T) {
                self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            }

            #[cfg_attr(shuttle, allow(dead_code, reason = "called for one of the two mutexes"))]
            pub(crate) fn into_inner(self) -> T {
                self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
            }
        }
    )*};
}

macro_rules! guard {
    (std, $t:ident) => { std::sync::MutexGuard<'_, $t> };
    (shuttle, $t:ident) => { shuttle::sync::MutexGuard<'_, $t> };
}

mutex! { std::sync::Mutex }
#[cfg(shuttle)]
mutex! { shuttle::sync::Mutex }
