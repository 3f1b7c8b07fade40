//! Helpers that tests of several crates share: an executor that is driven by hand, and captured events.

pub mod events;
pub mod executor;
