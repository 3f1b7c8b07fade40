//! The benchmarks behind `cargo xtask bench`.
//!
//! Each benchmark is a module with a function `run` that returns a [`report::section::Section`]:
//! tables, plots, and ratios that `--check` compares with the committed ones. The program in
//! `main.rs` lists the benchmarks, and `docs/benchmarks.md` explains their figures.

pub mod allocations;
pub mod configs;
pub mod connection;
pub mod contestants;
pub mod counter;
pub mod error;
mod glances;
pub mod growth;
pub mod hits;
pub mod http;
pub mod layers;
pub mod measure;
pub mod misses;
pub mod report;
pub mod run_mode;
pub mod storage;
pub mod store;
pub mod talks;
pub mod workloads;
pub mod writes;
