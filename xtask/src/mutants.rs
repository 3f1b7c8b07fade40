//! Changes the code in small ways, one at a time, and expects a test to fail at each: those that none can notice are
//! listed in docs/mutants.md. Shard by shard; what was done for this state of the sources is not done again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use crate::{
    marks::Marks,
    steps::{Steps, target, top},
};

/// Names what it changes in words of its own, by which the list knows them.
const VERSION: &str = "27.1.0";

/// A package, the tests that are to notice, and the shards that its changes come in.
const PACKAGES: [(&str, &str, u32); 2] = [("cache-core", "all", 8), ("cache-adapter", "cached", 1)];

/// What the outcome follows from.
const SOURCES: [&str; 6] =
    [".cargo/mutants.toml", "Cargo.lock", "Cargo.toml", "crates/cache-adapter", "crates/cache-core", "crates/domain"];

/// How it exits when changes were missed, or made a test run for ever: that is for the list to judge.
const FOUND: [i32; 2] = [2, 3];

/// A change that no test noticed: the file, its line, and what was made of it.
type Missed = (String, String, String);

pub(crate) fn run(steps: &mut Steps, fresh: bool) -> Result<(), String> {
    is_installed()?;
    let marks = Marks::of("mutation", &SOURCES, fresh)?;
    let shards: Vec<_> = PACKAGES.iter().flat_map(|(package, tests, of)| (0..*of).map(move |at| (*package, *tests, at, *of))).collect();
    for (done, (package, tests, at, of)) in shards.iter().enumerate() {
        let name = format!("{package} {} of {of}", at + 1);
        let mark = format!("{package}-{at}.done");
        if marks.has_passed(&mark) {
            eprintln!("== {name}: done before, with these sources");
            continue;
        }
        eprintln!("== shard {} of {}", done + 1, shards.len());
        let output = output(package, *at);
        fs::create_dir_all(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let mut command = Command::new("cargo");
        command.args(["mutants", "--jobs", "2", "--package", package, "--shard", &format!("{at}/{of}"), "--output"]).arg(&output);
        // So that nothing else is built, either.
        command.args(["--cargo-arg=--lib", &format!("--cargo-arg=--test={tests}")]).current_dir(top());
        steps.run_to(&name, &mut command, &FOUND)?;
        marks.pass(&mark)?;
    }
    judge(shards.iter().map(|(package, _, at, _)| output(package, *at).join("mutants.out")))
}

fn output(package: &str, shard: u32) -> PathBuf {
    target().join("mutation").join(format!("{package}-{shard}"))
}

fn is_installed() -> Result<(), String> {
    // Without it, cargo says that it knows no such command.
    let told = Command::new("cargo").args(["mutants", "--version"]).output().map_err(|error| format!("cargo: {error}"))?;
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if told == format!("cargo-mutants {VERSION}") {
        return Ok(());
    }
    Err(format!("cargo-mutants {VERSION} is needed: cargo install cargo-mutants --locked --version {VERSION}"))
}

/// Compares what was missed with what is listed.
fn judge(outputs: impl Iterator<Item = PathBuf>) -> Result<(), String> {
    let mut counts = BTreeMap::new();
    let mut missed = BTreeSet::new();
    for output in outputs {
        for kind in ["caught", "unviable", "missed", "timeout"] {
            let path = output.join(kind).with_extension("txt");
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            *counts.entry(kind).or_insert(0) += text.lines().count();
            if matches!(kind, "missed" | "timeout") {
                for line in text.lines() {
                    missed.insert(placed(line)?);
                }
            }
        }
    }
    let listed = listed(&fs::read_to_string(top().join("docs/mutants.md")).map_err(|error| format!("docs/mutants.md: {error}"))?);
    let all: usize = counts.values().sum();
    println!(
        "mutants: {all} changes, {} caught, {} do not compile, {} missed and {} without an end",
        counts["caught"], counts["unviable"], counts["missed"], counts["timeout"]
    );
    let told = |wrong: &str, which: Vec<&Missed>| {
        for (file, line, change) in &which {
            println!("{wrong}: {file}\n* `{line}`, `{change}`");
        }
        which.is_empty()
    };
    let known = told("missed, and not listed", missed.difference(&listed).collect());
    let current = told("listed, and caught or gone", listed.difference(&missed).collect());
    if !known || !current {
        return Err("docs/mutants.md does not list exactly what was missed".into());
    }
    println!("mutants: each is caught, or listed in docs/mutants.md with the reason why it changes no behaviour");
    Ok(())
}

/// `file:line:column: change`, with the line's text in the place of its number, which changes with every edit above it.
fn placed(told: &str) -> Result<Missed, String> {
    let mut parts = told.splitn(4, ':');
    let (Some(file), Some(line), Some(_column), Some(change)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(format!("cargo-mutants names no place: {told}"));
    };
    let text = fs::read_to_string(top().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let line = line.parse::<usize>().ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let line = line.ok_or_else(|| format!("no such line: {told}"))?;
    Ok((file.to_owned(), line.trim().to_owned(), change.trim().to_owned()))
}

/// A heading per file; below it an item per change: `` * `line`, `change`: reason ``.
fn listed(text: &str) -> BTreeSet<Missed> {
    let mut file = "";
    let mut listed = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading.trim_matches('`');
        } else if let Some(item) = line.strip_prefix("* `") {
            let mut quoted = item.split('`').step_by(2);
            if let (Some(line), Some(change)) = (quoted.next(), quoted.next()) {
                listed.insert((file.to_owned(), line.to_owned(), change.to_owned()));
            }
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_list_names_its_file_its_line_and_the_change() {
        let text = "# Mutants\n\n* not one\n\n## `src/a.rs`\n\n* `a >= b`, `replace >= with > in f`: the same,\n  as `a` is never `b`.\n\n* `c`, `d`: e\n";
        let named = |line: &str, change: &str| ("src/a.rs".to_owned(), line.to_owned(), change.to_owned());
        assert_eq!(listed(text), BTreeSet::from([named("a >= b", "replace >= with > in f"), named("c", "d")]));
    }

    #[test]
    fn a_change_is_known_by_the_text_of_its_line() {
        let (file, line, change) = placed("xtask/src/mutants.rs:1:5: replace a with b in c: d").unwrap();
        assert_eq!((file.as_str(), change.as_str()), ("xtask/src/mutants.rs", "replace a with b in c: d"));
        assert!(line.starts_with("//! Changes the code"));
        assert!(placed("replace a with b").is_err() && placed("xtask/src/mutants.rs:0:5: a").is_err());
    }
}
