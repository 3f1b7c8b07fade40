//! Conformance tests: the same scenarios run on Greenroom's region and on other caches. This
//! package contains the adapters for the other caches, which the benchmarks use, too.

pub mod page;
pub mod peers;
pub mod scenarios;
pub mod table;

mod case;
mod store;
#[cfg(test)]
mod tests;

pub use case::{Case, Observed, Stop};
pub use store::{ReadError, Store};
