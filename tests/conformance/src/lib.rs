//! Runs the same scenarios on Greenroom's region and on other caches, and holds the one set of
//! adapters for these caches. The benchmarks use the adapters, too.

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
