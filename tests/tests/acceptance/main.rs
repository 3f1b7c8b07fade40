//! The acceptance tests: one binary, one module for each promise.

mod laws;
mod stores;
