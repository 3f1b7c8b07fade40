//! Runs every scenario on every cache and writes `docs/conformance.md`.

use std::{fs, process::ExitCode};

use conformance::{
    page,
    peers::COLUMNS,
    scenarios::SCENARIOS,
    table::{Table, Verdict},
};

fn main() -> ExitCode {
    let table = Table::run(&SCENARIOS);
    for (at, column) in COLUMNS.iter().enumerate() {
        println!(
            "{:<18} {:<8} {:>2} pass, {:>2} fail, {:>2} n/a",
            column.name,
            page::version(column),
            table.count(at, Verdict::Pass),
            table.count(at, Verdict::Fail),
            table.count(at, Verdict::NotApplicable),
        );
    }
    if let Err(error) = fs::write(page::PATH, page::render(&table)) {
        eprintln!("conformance: cannot write docs/conformance.md: {error}");
        return ExitCode::FAILURE;
    }
    let failures = table.failures_of_greenroom();
    if failures.is_empty() {
        println!(
            "conformance: pass, Greenroom's region passes all {} scenarios",
            SCENARIOS.len()
        );
        return ExitCode::SUCCESS;
    }
    for failure in &failures {
        println!("{failure}");
    }
    println!(
        "conformance: FAIL, Greenroom's region fails in {} cells of the table",
        failures.len()
    );
    ExitCode::FAILURE
}
