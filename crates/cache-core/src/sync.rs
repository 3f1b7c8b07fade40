//! Locks, atomics and permits, named here and nowhere else, so that a schedule explorer puts its own in their place:
//! shuttle under `--cfg shuttle`.

pub(crate) use std::sync::{Arc, Weak};
/// Statistics are no part of the protocol: they are not explored.
pub(crate) mod plain {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) type Mutex<T> = super::Ours<std::sync::Mutex<T>>;
}

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
pub(crate) use tokio::sync::{Semaphore as Permits, oneshot};

#[cfg(not(shuttle))]
type Raw<T> = std::sync::Mutex<T>;
#[cfg(shuttle)]
type Raw<T> = shuttle::sync::Mutex<T>;

/// Chooses stripes; the same at each run under an explorer, so that a schedule replays.
#[cfg(not(shuttle))]
pub(crate) type HashBuilder = std::hash::RandomState;
#[cfg(shuttle)]
pub(crate) type HashBuilder = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, HashBuilder>;

pub(crate) type Mutex<T> = Ours<Raw<T>>;

/// A mutex whose holder never panics with the data half changed, so that poisoning is ignored.
#[derive(Debug, Default)]
pub(crate) struct Ours<M>(M);

macro_rules! mutex {
    ($($raw:ident $(::$rest:ident)*),*) => {$(
        impl<T> Ours<$raw$(::$rest)*<T>> {
            pub(crate) const fn new(value: T) -> Self {
                Self($raw$(::$rest)*::new(value))
            }

            pub(crate) fn lock(&self) -> guard!($raw, T) {
                self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            }

            #[cfg_attr(shuttle, allow(dead_code, reason = "of the two mutexes only one is taken apart"))]
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
