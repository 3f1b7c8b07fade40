//! The long forms, one after the other; what passed for this state of the sources is not run again.

use std::{fs, process::Command};

use crate::{
    loom, schedules,
    steps::{Steps, top},
};

/// Schedules per scenario.
const SCHEDULES: u32 = 10_000;

type Part = (&'static str, fn(&mut Steps) -> Result<(), String>);

const PARTS: [Part; 6] = [
    ("models", |steps| long(steps, "models", &["--package", "cache-core", "--test", "models", "--", "--test-threads", "1"])),
    ("schedules", |steps| schedules(steps, SCHEDULES)),
    ("loom", |steps| loom(steps, &[("GREENROOM_PROOF", "1")])),
    ("readers", |steps| long(steps, "readers", &["--package", "tests", "--test", "acceptance", "polls"])),
    ("histories", |steps| long(steps, "histories", &["--package", "tests", "--test", "acceptance", "histories"])),
    ("fuzz", |steps| {
        long(steps, "fuzz", &["--package", "tests", "--test", "acceptance", "fuzz"])?;
        long(steps, "fuzz of personas", &["--package", "persistence", "--lib"])
    }),
];

pub(crate) fn run(steps: &mut Steps, fresh: bool) -> Result<(), String> {
    let folder = top().join("target").join("proof");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let sources = sources()?;
    for (at, (name, part)) in PARTS.iter().enumerate() {
        let mark = folder.join(name);
        if !fresh && fs::read_to_string(&mark).is_ok_and(|passed| passed == sources) {
            eprintln!("== {name}: passed before, with these sources");
            continue;
        }
        eprintln!("== part {} of {}: {name}", at + 1, PARTS.len());
        part(steps)?;
        fs::write(&mark, &sources).map_err(|error| format!("{}: {error}", mark.display()))?;
    }
    println!("proof: all {} parts passed", PARTS.len());
    Ok(())
}

fn long(steps: &mut Steps, name: &str, which: &[&str]) -> Result<(), String> {
    let head: &[&str] = &["test", "--release", "--all-features"];
    let tail: &[&str] = if which.contains(&"--") { &["--nocapture"] } else { &["--", "--nocapture"] };
    let arguments = [head, which, tail].concat();
    steps.cargo_with(name, &arguments, &[("GREENROOM_PROOF", "1")])
}

/// The commit, and what was changed since.
fn sources() -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(top()).output().map_err(|error| format!("git: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    Ok(git(&["rev-parse", "HEAD"])? + &git(&["diff", "HEAD"])?)
}
