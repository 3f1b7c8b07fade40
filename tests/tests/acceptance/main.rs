//! The acceptance tests: one binary, with one module for each promise.
//!
//! Several modules share `stores`, `counted_store` and `log_lines`. Everything else that they share
//! is in the package's library.

mod access;
mod answers;
mod cleanup;
mod counted_store;
mod disk_full;
mod doc_tables;
mod edits;
mod endpoints;
mod fuzz;
mod histories;
mod http;
mod laws;
mod log_lines;
mod machine;
mod personas;
mod polls;
mod store;
mod stores;
mod tidy;
mod ttl;
mod unknown;
