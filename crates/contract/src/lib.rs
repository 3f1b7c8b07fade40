//! The contract of the repository ports: laws, which are tests, and backends that keep or break
//! them.
//!
//! `domain::ports` says what each method must do. Each of its sentences with MUST is a [`Law`]: a
//! small test that any backend can run. The tests of a backend or a decorator run every law over
//! its [`Repositories`](domain::Repositories). The store may be empty or in use:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let repositories = contract::memory::repositories();
//! let report = contract::check(&repositories).await;
//! report.assert();
//! assert_eq!(report.passed, contract::laws().len());
//! # }
//! ```
//!
//! | item | purpose |
//! |---|---|
//! | [`laws`], [`check`] | the laws, and a run of all of them |
//! | [`check_reopening`] | laws of a store that is closed and opened again |
//! | [`check_files`] | laws of a store whose personas are in files that people edit |
//! | [`check_changes`] | laws of the changes of a store that several processes share |
//! | [`memory`] | the in-memory reference backend, also useful in tests of code above the ports |
//! | [`PORT_METHODS`] | the table of port methods, for tests that other tables are complete |
//! | [`decorate`](mod@decorate) | a decorator generated from that table |
//! | `planted` | (feature `planted`) backends that each break one rule, to test the laws |
//!
//! The [glossary] explains the project's words, such as law, settle and planted fault.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod bundle;
mod changes;
pub mod decorate;
mod files;
mod law;
mod laws;
pub mod memory;
mod method;
mod methods;
mod pause;
#[cfg(feature = "planted")]
pub mod planted;
mod reopen;
mod report;

pub use changes::{Node, Share, check_changes};
pub use files::{EditFiles, check_files};
pub use law::{Breach, Law};
pub use laws::laws;
pub use method::{Access, PortMethod};
pub use methods::PORT_METHODS;
pub use reopen::{Reopen, check_reopening};
pub use report::{Report, check};
