//! A decorator that runs a test's code around every read and every write of a store.

use std::sync::Arc;

pub use contract::decorate::Around;
use domain::Repositories;

/// Wraps a store so that `around` runs around each of its reads and writes.
///
/// Settling and health checks are not decorated, so that a test can still rely on them.
pub fn decorate(inner: Repositories, around: Arc<impl Around>) -> Repositories {
    let (settle, health) = (inner.settle.clone(), inner.health.clone());
    Repositories {
        settle,
        health,
        ..contract::decorate::decorate(inner, around)
    }
}
