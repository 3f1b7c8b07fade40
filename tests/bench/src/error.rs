//! Reasons why a run ends without a result.

use std::{io, path::PathBuf};

use thiserror::Error;

/// The failure of a run or of its `--check`.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A file of the documentation cannot be read or written.
    #[error("file {} cannot be read or written: {source}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The committed results have an unknown format.
    #[error("{} must contain the results of `cargo xtask bench --write`: {source}", path.display())]
    InvalidResults {
        /// The path of the results.
        path: PathBuf,
        /// The position and kind of the mistake.
        source: serde_json::Error,
    },
    /// Measured results have no JSON form.
    #[error("the results cannot be written as JSON: {0}")]
    Serialize(#[source] serde_json::Error),
    /// The document lacks the markers between which the results of a benchmark belong.
    #[error("the document must contain the lines `<!-- {name} -->` and `<!-- /{name} -->`")]
    MissingBlock {
        /// The name of the benchmark.
        name: String,
    },
    /// A plot cannot be drawn.
    #[error("plot {} cannot be drawn: {reason}", path.display())]
    Plot {
        /// The path of the picture.
        path: PathBuf,
        /// The message of the drawing library.
        reason: String,
    },
    /// A temporary folder or a runtime cannot be created.
    #[error("the benchmark cannot be set up: {0}")]
    SetUp(#[source] io::Error),
    /// The store refused a call.
    #[error("the store: {0}")]
    Store(#[from] domain::Error),
    /// The parts of the server program cannot be created.
    #[error("the program cannot be wired: {0}")]
    Wiring(#[from] app::WiringError),
    /// A child process cannot be started.
    #[error("child process `{program}` cannot be started: {source}")]
    Start {
        /// The name of the program, with its arguments.
        program: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A child process ended with a failure.
    #[error("child process `{program}` failed: {details}")]
    ChildFailed {
        /// The name of the program, with its arguments.
        program: String,
        /// The standard error of the child process, or its exit status.
        details: String,
    },
    /// A child process printed text of an unknown format.
    #[error("child process `{program}` printed an unexpected line: {line:?}")]
    UnexpectedOutput {
        /// The name of the program, with its arguments.
        program: String,
        /// The printed text.
        line: String,
    },
    /// The server binaries of PostgreSQL are not installed.
    #[error(
        "this benchmark needs the PostgreSQL server binaries (initdb, pg_ctl and postgres) \
         in PATH or below /usr/lib/postgresql"
    )]
    NoPostgres,
    /// `--check` found no committed ratio to compare with.
    #[error(
        "{} has no ratio of these benchmarks on this machine; check out the state to compare with, \
         and run `cargo xtask bench --write` there first",
        path.display()
    )]
    NothingToCompare {
        /// The path of the committed results.
        path: PathBuf,
    },
    /// `--check` found ratios that are worse than the committed ones.
    #[error("ratios that are worse than the committed ones, or cannot be compared: {count}")]
    Regressions {
        /// The number of ratios that are worse or cannot be compared.
        count: usize,
    },
}
