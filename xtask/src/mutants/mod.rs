//! Runs cargo-mutants, which changes the code in small ways, one change at a time, and expects a
//! test to fail for each change. docs/mutants.md lists the changes that no test can detect.
//!
//! The work is divided into shards. A shard that was completed with the present sources is skipped.
//! Each shard runs twice: first without the slowest tests, and then with all tests, on the changes
//! that the first run did not detect.

mod list;
mod shard;

use std::{collections::BTreeSet, process::Command};

use crate::{
    marks::Marks,
    steps::{Steps, top},
};
use list::{Change, Outcome, Results, listed, read};
use shard::Shard;

/// The required version of cargo-mutants. Another version may describe a change differently, and
/// docs/mutants.md identifies changes by their descriptions.
const VERSION: &str = "27.1.0";

/// For each package: its name, the test binary that must detect the changes, and the number of
/// shards.
const PACKAGES: [(&str, &str, u32); 2] = [("cache-core", "all", 4), ("cache-adapter", "cached", 1)];

/// The paths of the sources that affect the result.
const SOURCES: [&str; 7] = [
    ".cargo/mutants.toml",
    "Cargo.lock",
    "Cargo.toml",
    "crates/cache-adapter",
    "crates/cache-core",
    "crates/contract",
    "crates/domain",
];

pub(crate) fn run(steps: &mut Steps, fresh: bool) -> Result<(), String> {
    is_installed()?;
    let marks = Marks::of("mutation", &SOURCES, fresh)?;
    let shards: Vec<_> = PACKAGES
        .iter()
        .flat_map(|(package, test, count)| {
            (0..*count).map(move |at| Shard {
                package,
                test,
                at,
                count: *count,
            })
        })
        .collect();
    let mut results = Results::default();
    for shard in &shards {
        let (package, at) = (shard.package, shard.at);
        for (mark, run) in [
            (
                format!("{package}-{at}.quick"),
                Shard::run_quick as fn(&Shard, &mut Steps) -> _,
            ),
            (format!("{package}-{at}.full"), Shard::run_full),
        ] {
            if marks.has_passed(&mark) {
                eprintln!("== {mark}: already done with these sources");
                continue;
            }
            run(shard, steps)?;
            marks.pass(&mark)?;
        }
        shard.collect(&mut results)?;
    }
    judge(&results)
}

fn is_installed() -> Result<(), String> {
    // Without cargo-mutants, cargo prints an error about an unknown command.
    let output = Command::new("cargo")
        .args(["mutants", "--version"])
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version == format!("cargo-mutants {VERSION}") {
        return Ok(());
    }
    Err(format!(
        "cargo-mutants {VERSION} is not installed; run cargo install cargo-mutants --locked \
         --version {VERSION}"
    ))
}

/// Compares the changes that no test noticed, and those that timed out, with the lists in
/// `docs/mutants.md`. Fails if they differ.
fn judge(results: &Results) -> Result<(), String> {
    let listed = listed(&read(&top().join("docs/mutants.md"))?);
    let (missed, endless) = (results.set(Outcome::Missed), results.set(Outcome::Endless));
    let mut is_exact = true;
    let mut print = |problem: &str, changes: Vec<&Change>| {
        for (file, line, change) in changes {
            println!("{problem}: {file}\n* `{line}`, `{change}`:");
            is_exact = false;
        }
    };
    print(
        "missed, but not listed",
        missed.difference(&listed.missed).collect(),
    );
    print(
        "listed, but caught or no longer there",
        listed.missed.difference(&missed).collect(),
    );
    print(
        "endless, but not listed",
        endless.difference(&listed.endless).collect(),
    );
    // A listed change may also be caught here: whether a test fails before another one waits
    // forever depends on the machine.
    let caught = results.set(Outcome::Caught);
    let ended: BTreeSet<_> = endless.union(&caught).cloned().collect();
    print(
        "listed as endless, but missed or no longer there",
        listed.endless.difference(&ended).collect(),
    );
    let (caught, endless, unviable, missed) = (
        results.count(Outcome::Caught),
        results.count(Outcome::Endless),
        results.count(Outcome::Unviable),
        results.count(Outcome::Missed),
    );
    let all = caught + endless + unviable + missed;
    println!(
        "mutants: {all}: {caught} caught, {endless} endless, {unviable} do not compile, \
         {missed} missed"
    );
    if !is_exact {
        return Err(
            "docs/mutants.md does not list exactly the missed changes; update it as printed above"
                .into(),
        );
    }
    println!("mutants: every change is noticed, or listed in docs/mutants.md with a reason");
    Ok(())
}
