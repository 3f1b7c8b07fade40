//! The acceptance tests: one binary, with one module for each guarantee of the server.
//!
//! The modules `stores`, `counted_store` and `log_lines` are shared by several other modules. All
//! other shared code is in the library of this package.

mod access;
mod answers;
mod backups;
mod circles;
mod cleanup;
mod counted_store;
mod deploy;
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
mod nodes;
mod personas;
mod polls;
mod store;
mod store_locks;
mod store_network;
mod stores;
mod tidy;
mod ttl;
mod unknown;
mod upgrades;
