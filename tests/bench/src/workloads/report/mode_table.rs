//! Tables with a column for each cache mode.

use serde_json::{Value, json};

use crate::{
    measure::{Rate, float},
    report::table::Table,
    store::RegionHits,
    workloads::{cache_mode::ByMode, operations::MeasuredOperations, results::ModeResults},
};

/// A table of one workload with a column for each cache mode.
pub(super) struct ModeTable<'a> {
    results: &'a ByMode<ModeResults>,
    table: Table,
}

impl<'a> ModeTable<'a> {
    /// Creates a table without rows.
    pub(super) fn new(title: &str, results: &'a ByMode<ModeResults>) -> Self {
        let [uncached, classic, coherent] = results.entries().map(|(mode, _)| mode.name());
        Self {
            results,
            table: Table::new([title, uncached, classic, coherent]),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, name: &str, cell: impl Fn(&ModeResults) -> String) {
        let [uncached, classic, coherent] = self.results.entries().map(|(_, mode)| cell(mode));
        self.table
            .row([name.to_owned(), uncached, classic, coherent]);
    }

    /// Returns the finished table.
    pub(super) fn finish(self) -> Table {
        self.table
    }
}

/// Returns the table of hit rates in the two cached modes. Its numbers of reads come from the run
/// with the default TTLs.
pub(super) fn hit_table(
    title: &str,
    results: &ByMode<ModeResults>,
    hits: impl Fn(&ModeResults) -> &[RegionHits],
) -> Table {
    let [_, classic, coherent] = results.entries().map(|(mode, _)| mode.name());
    let mut table = Table::new([title, classic, coherent]);
    for RegionHits {
        region,
        percent: classic,
        reads,
    } in hits(&results.classic)
    {
        let coherent = hits(&results.coherent)
            .iter()
            .find(|hits| hits.region == *region)
            .map_or(f64::NAN, |hits| hits.percent);
        table.row([
            format!("`{region}`, {reads} reads"),
            percent(*classic),
            percent(coherent),
        ]);
    }
    table
}

/// Returns the raw figures of each cache mode.
pub(super) fn raw_by_mode(
    results: &ByMode<ModeResults>,
    raw: impl Fn(&ModeResults) -> Value,
) -> Value {
    let modes = results.entries().map(|(mode, results)| {
        let mut raw = raw(results);
        raw["cache_mode"] = json!(mode.name());
        raw
    });
    json!(modes)
}

/// Formats a percentage.
pub(super) fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

/// Formats events per thousand operations.
pub(super) fn per_thousand(rate: Rate) -> String {
    format!(
        "{:.1}",
        1_000.0 * float(rate.events) / float(rate.operations)
    )
}

/// Formats the 50th, 95th and 99th percentile of the times.
pub(super) fn percentiles(operations: &MeasuredOperations) -> String {
    let [p50, p95, p99] = operations.percentiles();
    format!("{p50:.1}, {p95:.1}, {p99:.1}")
}
