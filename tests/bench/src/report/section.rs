//! Sections: the results of one benchmark.

use serde_json::Value;

use super::{plot::Plot, ratio::Ratio, table::Table};

/// The results of one benchmark, which fill its block in `docs/benchmarks.md`.
#[derive(Default)]
pub struct Section {
    /// The tables, in the order in which they are printed.
    pub tables: Vec<Table>,
    /// The figures that are compared between commits.
    pub ratios: Vec<Ratio>,
    /// The plots, each in a separate file.
    pub plots: Vec<Plot>,
    /// The raw figures of every round, for `results.json`.
    pub raw: Value,
}

impl Section {
    /// Returns tables, plots and verdicts as Markdown. `plot_folder` is the folder of the pictures,
    /// relative to the document.
    pub fn markdown(&self, plot_folder: &str) -> String {
        let mut blocks: Vec<_> = self
            .tables
            .iter()
            .map(|table| table.markdown().to_owned())
            .collect();
        blocks.extend(
            self.plots
                .iter()
                .map(|plot| format!("![{}]({plot_folder}/{}.svg)", plot.title, plot.file)),
        );
        let verdicts: Vec<_> = self.ratios.iter().filter_map(Ratio::verdict).collect();
        if !verdicts.is_empty() {
            blocks.push(verdicts.join("\n"));
        }
        blocks.join("\n\n")
    }
}
