//! Counts the instructions of a hit with callgrind. The count repeats on each run of one build, so
//! that a small regression is visible.

use std::{env, process::Command};

use crate::steps::{Steps, note, target, top};

/// The instructions of one read, by kind of read, on x86-64 with the pinned toolchain and crates.
const COUNTS: [(&str, f64); 4] = [
    ("region", 171.3),
    ("room", 468.4),
    ("agents", 690.1),
    ("poll", 589.2),
];
/// Inlining differs a little between builds of the same code; a regression is larger than that.
const TOLERANCE: f64 = 1.02;
/// Hits per count, so that the fixed cost of the call does not show.
const HITS: u32 = 10_000;

/// Fails if a read executes more instructions than committed, and prints a note if it executes
/// fewer.
pub(crate) fn run(steps: &mut Steps) -> Result<(), String> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return not_run("the counts are those of Linux on x86-64");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return not_run("valgrind is not installed");
    }
    steps.cargo(
        "instructions",
        &[
            "build",
            "--release",
            "--quiet",
            "--package",
            "cache-adapter",
            "--example",
            "hit_path",
        ],
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
    let program = top().join(target()).join("release/examples/hit_path");
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=hit_path::read_often",
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

/// Records that the count did not run. Under `CI=true` this is an error.
fn not_run(why: &str) -> Result<(), String> {
    let line = format!("not run: instructions of a hit ({why})");
    note("not-run.txt", &line)?;
    if env::var("CI").as_deref() == Ok("true") {
        Err(line)
    } else {
        Ok(())
    }
}
