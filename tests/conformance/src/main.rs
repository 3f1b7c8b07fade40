//! Runs every scenario on every cache and writes `docs/conformance.md`.

mod case;
mod page;
mod peers;
mod scenarios;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::{fs, process::ExitCode};

use peers::COLUMNS;
use scenarios::SCENARIOS;
use table::{Table, Verdict};

/// The page that is written.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");

fn main() -> ExitCode {
    let table = Table::run(&SCENARIOS);
    for (at, column) in COLUMNS.iter().enumerate() {
        let count = |verdict| table.count(at, verdict);
        let (pass, fail, none) = (
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::NotApplicable),
        );
        println!(
            "{:<18} {:<8} {pass:>2} pass, {fail:>2} fail, {none:>2} n/a",
            column.name,
            page::version(column)
        );
    }
    if let Err(error) = fs::write(PAGE, page::render(&table)) {
        eprintln!("conformance: docs/conformance.md: {error}");
        return ExitCode::FAILURE;
    }
    let mut failed = 0;
    for (column, cells) in COLUMNS
        .iter()
        .zip(&table.0)
        .filter(|(column, _)| column.is_ours())
    {
        for (scenario, cell) in SCENARIOS
            .iter()
            .zip(cells)
            .filter(|(_, cell)| cell.verdict != Verdict::Pass)
        {
            println!("{}, {}: {}", column.name, scenario.name, cell.values);
            failed += 1;
        }
    }
    if failed == 0 {
        println!(
            "conformance: pass, Greenroom's region passes all {} scenarios",
            SCENARIOS.len()
        );
        ExitCode::SUCCESS
    } else {
        println!("conformance: FAIL, Greenroom's region fails in {failed} cells of the table");
        ExitCode::FAILURE
    }
}
