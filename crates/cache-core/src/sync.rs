//! Locks, atomics and permits, named here and nowhere else, so that a schedule explorer can put its own in their place.

pub(crate) use std::sync::{
    Arc, MutexGuard, Weak,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
pub(crate) use tokio::sync::{Semaphore as Permits, oneshot};

/// A mutex whose holder never panics with the data half changed, so that poisoning is ignored.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
