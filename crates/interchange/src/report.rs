//! The report of a conversion.

use std::{fmt::Display, path::Path};

/// A report of a conversion: counts of agents, and a line for each thing that was left out or
/// changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of agents that were written.
    pub written: usize,
    /// The number of agents that already existed with equal content.
    pub unchanged: usize,
    /// The number of agents that were left out.
    pub skipped: usize,
    /// The lines of the report. Each one begins with the path of a file or folder.
    pub lines: Vec<String>,
}

impl Report {
    /// Adds a line about the file or folder at `path`.
    pub fn note(&mut self, path: &Path, text: impl Display) {
        self.lines.push(format!("{}: {text}", path.display()));
    }

    /// Counts an agent that is left out, and adds a line that says why.
    pub fn skip(&mut self, path: &Path, reason: impl Display) {
        self.skipped += 1;
        self.note(path, format!("left out: {reason}"));
    }
}
