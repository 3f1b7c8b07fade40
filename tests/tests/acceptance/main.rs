//! The acceptance tests: one binary, one module for each promise.

mod laws;
mod machine;
mod stores;
mod tidy;
