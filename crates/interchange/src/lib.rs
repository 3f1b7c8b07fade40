//! Reads the agents of other chat servers, and writes agents in their formats.
//!
//! | module | format |
//! |---|---|
//! | [`python`] | the Python server's folders: `[group_GROUP/]NAME/` with texts in Markdown |
//!
//! The crate reads and writes foreign files only. An import returns an [`AgentBundle`] for each
//! agent, and the caller stores it. An export takes an [`AgentBundle`] that the caller has read
//! from its store. Everything that a format cannot carry over becomes a line of the [`Report`].
//!
//! ```
//! # fn main() -> domain::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder for the example");
//! # let theirs = folder.path();
//! # std::fs::create_dir(theirs.join("Ada")).expect("a folder for Ada");
//! # std::fs::write(theirs.join("Ada/in_a_nutshell.md"), "A sailor").expect("a file for Ada");
//! let mut report = interchange::Report::default();
//! let source = interchange::python::Source::open(theirs, &mut report)?;
//! for agent in source.agents() {
//!     let bundle = agent.read(&domain::GroupDefaults::default(), &mut report);
//!     let bundle = bundle.expect("Ada has a valid name and a text");
//!     assert_eq!(bundle.config.in_a_nutshell, "A sailor");
//! }
//! assert!(report.lines.is_empty(), "everything was carried over");
//! # Ok(()) }
//! ```
//!
//! The [glossary] explains the project's words, such as persona and snapshot.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

pub mod python;

mod bundle;
mod files;
mod report;

pub use bundle::{AgentBundle, GroupBundle};
pub use report::Report;
