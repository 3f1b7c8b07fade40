//! The acceptance tests: one binary, one module for each promise.

mod access;
mod answers;
mod circles;
mod clock;
mod disk_full;
mod edits;
mod endpoints;
mod fuzz;
mod histories;
mod http;
mod laws;
mod machine;
mod personas;
mod polls;
mod store;
mod stores;
mod tidy;
mod unknown;
