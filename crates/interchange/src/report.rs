//! The report of a conversion.

use std::{fmt::Display, path::Path};

/// A report of a conversion: counts, and a line for each thing that was not carried over as it
/// was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Agents that were written.
    pub written: usize,
    /// Agents that were there already, equal.
    pub unchanged: usize,
    /// Agents that were left out.
    pub skipped: usize,
    /// Lines, each with a path.
    pub lines: Vec<String>,
}

impl Report {
    /// Adds a line about a file or folder.
    pub fn note(&mut self, path: &Path, text: impl Display) {
        self.lines.push(format!("{}: {text}", path.display()));
    }

    /// Counts an agent that is left out, and adds a line that says why.
    pub fn skip(&mut self, path: &Path, reason: impl Display) {
        self.skipped += 1;
        self.note(path, format!("left out: {reason}"));
    }
}
