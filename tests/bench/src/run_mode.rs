//! The size of a run, and the runtime and progress bar that all benchmarks use.

use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::{self, Runtime};

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// All rounds, for figures that are committed or checked.
    Full,
    /// Fewer rounds and smaller sizes, for a first impression.
    Quick,
}

impl RunMode {
    /// Returns `full` or `quick`, depending on the mode.
    pub fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Starts a multi-threaded runtime with one worker for each core, as the server program does.
pub fn start_runtime() -> Runtime {
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the operating system starts threads")
}

/// Creates a progress bar with this number of steps. It is drawn only if the output is a terminal.
pub fn progress_bar(name: impl fmt::Display, steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix}: {pos} of {len} {wide_bar}")
        .expect("the template is valid");
    ProgressBar::new(steps as u64)
        .with_style(style)
        .with_prefix(name.to_string())
}
