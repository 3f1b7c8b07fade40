//! The acceptance tests: one binary, one module for each promise.

mod disk_full;
mod http;
mod laws;
mod machine;
mod store;
mod stores;
mod tidy;
mod unknown;
