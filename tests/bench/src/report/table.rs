//! Tables in Markdown.

use std::fmt::Write;

/// A table in Markdown.
pub struct Table(String);

impl Table {
    /// Creates a table with these column headings and no rows.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self(format!(
            "| {} |\n{}|\n",
            columns.join(" | "),
            "|---".repeat(N)
        ))
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        writeln!(self.0, "| {} |", cells.join(" | ")).expect("writing to a string cannot fail");
    }

    /// Returns the Markdown without a line break at its end.
    pub fn markdown(&self) -> &str {
        self.0.trim_end()
    }
}
