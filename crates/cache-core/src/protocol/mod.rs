//! The pure transitions of the protocol: no locks, no tasks, no time.
//!
//! The cache calls them under the lock of a stripe. The models in `tests/models` call the same
//! functions as their steps, and visit every reachable state.

pub mod creates;
pub mod log;
pub mod progress;
