//! Helpers for the tests of several crates: an executor driven by hand, and captured events.

pub mod events;
pub mod executor;
