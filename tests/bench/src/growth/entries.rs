//! Bytes per entry of a region, counted at the allocator.

use serde_json::json;

use crate::{
    allocations,
    error::BenchError,
    measure::Estimate,
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
};

/// The overhead of an entry in bytes, by the formula in `docs/architecture.md`: 72 bytes in the
/// store, and 40 bytes for times and weight.
const FORMULA: f64 = 72.0 + 40.0;
/// The bytes that a region takes independently of its entries.
const REGION: f64 = 16.0 * 1024.0;
const KEY_AND_VALUE: f64 = 16.0;
/// The expected difference of the ratio between two runs. The allocator also counts memory of the
/// runtime, which varies.
const DRIFT: f64 = 0.01;

/// Counts the bytes and adds the results to the section.
pub(super) fn measure(section: &mut Section) -> Result<(), BenchError> {
    let counts = allocations::count("entries")?;
    let mut table = Table::new([
        "entries (16 bytes of key and value)",
        "bytes per entry",
        "overhead, bytes",
        "overhead / formula",
    ]);
    let mut largest = 0.0_f64;
    for allocation in &counts {
        let entries: f64 = allocation
            .name
            .parse()
            .map_err(|_| BenchError::UnexpectedOutput {
                program: "allocations entries".into(),
                line: allocation.name.clone(),
            })?;
        let overhead = allocation.bytes - KEY_AND_VALUE;
        let relative = overhead / (FORMULA + REGION / entries);
        table.row([
            allocation.name.clone(),
            format!("{:.1}", allocation.bytes),
            format!("{overhead:.1}"),
            format!("{relative:.2}"),
        ]);
        largest = largest.max(relative);
    }
    let estimate = Estimate {
        drift: DRIFT,
        ..Estimate::exact(largest)
    };
    section.ratios.push(Ratio::new(
        "largest overhead of an entry relative to the formula",
        estimate,
        Goal::AtMost(1.0),
    ));
    section.tables.push(table);
    let counts: Vec<_> = counts
        .iter()
        .map(|allocation| (&allocation.name, allocation.bytes))
        .collect();
    section.raw["bytes_per_entry"] = json!(counts);
    Ok(())
}
