//! Counts the CPU instructions of a cache hit with callgrind. The count is the same in each run of
//! one build, so even a small regression is visible.

use std::{env, process::Command};

use crate::steps::{Steps, note, target, top};

/// The committed number of instructions of one cached read, for each kind of read. The counts are
/// for x86-64 with the pinned toolchain and crates.
const COUNTS: [(&str, f64); 4] = [
    ("region", 174.6),
    ("room", 463.6),
    ("agents", 687.1),
    ("poll", 537.1),
];
/// The name of these counts, in a report that they are missing.
const HITS_OF: &str = "instructions of a hit";
/// The factor by which a count may exceed the committed one. Inlining differs slightly between
/// builds of the same code, by less than this.
const TOLERANCE: f64 = 1.02;
/// The number of hits in one measurement. With many hits, the fixed cost of the measurement does
/// not affect the mean.
const HITS: u32 = 10_000;

/// Fails if a read executes more instructions than committed, apart from the tolerance. Prints a
/// note if it executes fewer.
pub(crate) fn run(steps: &mut Steps) -> Result<(), String> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return not_run(HITS_OF, "the counts are those of Linux on x86-64");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return not_run(HITS_OF, "valgrind is not installed");
    }
    steps.cargo(
        "instructions",
        &["build", "--release", "--quiet", "--package", "instructions"],
    )?;
    let mut more = Vec::new();
    for (what, committed) in COUNTS {
        let counted = count(what)?;
        note(
            "instructions.txt",
            &format!("instructions of a hit, {what}: {counted:.1}, committed {committed}"),
        )?;
        if counted > committed * TOLERANCE {
            more.push(format!("{what}: {counted:.1} instead of {committed}"));
        } else if counted * TOLERANCE < committed {
            eprintln!(
                "{what}: {counted:.1} instructions instead of {committed}: commit the lower count"
            );
        }
    }
    if more.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "a hit executes more instructions: {}",
            more.join(", ")
        ))
    }
}

fn count(what: &str) -> Result<f64, String> {
    let program = top().join(target()).join("release/instructions");
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=instructions::read_often",
        ])
        .arg(program)
        .args([what, &HITS.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let counted = report.lines().find_map(|line| {
        line.split_once("Collected : ")?
            .1
            .trim()
            .parse::<f64>()
            .ok()
    });
    match counted {
        Some(counted) if output.status.success() && counted > 0.0 => Ok(counted / f64::from(HITS)),
        _ => Err(format!("valgrind counted nothing: {report}")),
    }
}

/// Reports that `what` was not counted. Fails if the environment variable `CI` is `true`.
pub(crate) fn not_run(what: &str, why: &str) -> Result<(), String> {
    let line = format!("not run: {what} ({why})");
    note("not-run.txt", &line)?;
    if env::var("CI").as_deref() == Ok("true") {
        Err(line)
    } else {
        Ok(())
    }
}
