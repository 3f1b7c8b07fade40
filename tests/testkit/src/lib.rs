//! Helpers for the tests of several crates: a deterministic executor, and the capture of events.

pub mod events;
pub mod executor;
