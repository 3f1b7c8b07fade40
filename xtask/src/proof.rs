//! Runs the long forms of the tests, one after the other. A part that passed with the present
//! sources is skipped.

use crate::{
    marks::Marks,
    page, schedules,
    steps::{Steps, target},
};

/// The number of random schedules for each scenario.
const SCHEDULES: u32 = 10_000;

/// The minutes for which the program runs under disturbances.
const SOAK_MINUTES: &str = "10";

/// The name of a part, and the function that runs it.
type Part = (&'static str, fn(&mut Steps) -> Result<(), String>);

const PARTS: [Part; 10] = [
    ("models", |steps| {
        long(
            steps,
            "models",
            &[
                "--package",
                "greenroom-cache-core",
                "--test",
                "models",
                "--",
                "--test-threads",
                "1",
            ],
        )
    }),
    ("schedules", |steps| schedules::run(steps, SCHEDULES)),
    ("glances", |steps| {
        long(
            steps,
            "glances",
            &["--package", "greenroom-cache-core", "--test", "glances"],
        )
    }),
    ("readers", |steps| {
        long(
            steps,
            "readers",
            &["--package", "tests", "--test", "acceptance", "polls"],
        )
    }),
    ("histories", |steps| {
        long(
            steps,
            "histories",
            &["--package", "tests", "--test", "acceptance", "histories"],
        )
    }),
    ("tabs", |steps| {
        long(
            steps,
            "open tabs",
            &["--package", "tests", "--test", "acceptance", "tabs"],
        )
    }),
    ("page", |steps| {
        page::prepare(steps)?;
        long(steps, "the page with a long room", &["--package", "page"])
    }),
    ("attacks", |steps| {
        long(
            steps,
            "attacks for an hour",
            &["--package", "greenroom", "--test", "program", "attacks"],
        )
    }),
    ("soak", |steps| {
        steps.cargo_with(
            "the program",
            &["build", "--release", "--package", "greenroom"],
            &[],
        )?;
        let program = target().join("release/greenroom");
        let program = program.to_string_lossy();
        let soak = [
            "run",
            "--release",
            "--package",
            "tests",
            "--example",
            "soak",
            "--",
        ];
        let arguments = [&soak[..], &[&program, SOAK_MINUTES]].concat();
        steps.cargo_with("soak", &arguments, &[])
    }),
    ("fuzz", |steps| {
        long(
            steps,
            "fuzz",
            &["--package", "tests", "--test", "acceptance", "fuzz"],
        )?;
        long(
            steps,
            "fuzz of personas and appends of two processes",
            &["--package", "greenroom-persistence", "--lib"],
        )?;
        long(
            steps,
            "fuzz of YAML edits",
            &["--package", "greenroom-yaml-in-place", "--test", "fuzz"],
        )
    }),
];

pub(crate) fn run(steps: &mut Steps, fresh: bool) -> Result<(), String> {
    let marks = Marks::of("proof", &["."], fresh)?;
    for (at, (name, part)) in PARTS.iter().enumerate() {
        if marks.has_passed(name) {
            eprintln!("== {name}: already passed with these sources");
            continue;
        }
        eprintln!("== part {} of {}: {name}", at + 1, PARTS.len());
        part(steps)?;
        marks.pass(name)?;
    }
    println!("proof: all {} parts passed", PARTS.len());
    Ok(())
}

fn long(steps: &mut Steps, name: &str, which: &[&str]) -> Result<(), String> {
    let head: &[&str] = &["test", "--release", "--all-features"];
    let tail: &[&str] = if which.contains(&"--") {
        &["--nocapture"]
    } else {
        &["--", "--nocapture"]
    };
    let arguments = [head, which, tail].concat();
    steps.cargo_with(name, &arguments, &[("GREENROOM_PROOF", "1")])
}
