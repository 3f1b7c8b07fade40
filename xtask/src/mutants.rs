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
const SOURCES: [&str; 7] = [
    ".cargo/mutants.toml",
    "Cargo.lock",
    "Cargo.toml",
    "crates/cache-adapter",
    "crates/cache-core",
    "crates/contract",
    "crates/domain",
];

/// The heading in docs/mutants.md below which those stand that make a test wait for ever.
const ENDLESS: &str = "## Noticed by a test that never ends";

/// How it exits when changes were missed, or made a test run for ever: that is for the list to judge.
const FOUND: [i32; 2] = [2, 3];

/// The file, its line, and what was made of it.
type Change = (String, String, String);

/// What docs/mutants.md lists.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    /// No test fails.
    missed: BTreeSet<Change>,
    /// A test waits for ever.
    endless: BTreeSet<Change>,
}

pub(crate) fn run(steps: &mut Steps, fresh: bool) -> Result<(), String> {
    is_installed()?;
    let marks = Marks::of("mutation", &SOURCES, fresh)?;
    let shards: Vec<_> = PACKAGES
        .iter()
        .flat_map(|(package, tests, of)| (0..*of).map(move |at| (*package, *tests, at, *of)))
        .collect();
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
        command
            .args([
                "mutants",
                "--jobs",
                "2",
                "--package",
                package,
                "--shard",
                &format!("{at}/{of}"),
                "--output",
            ])
            .arg(&output);
        // So that nothing else is built, either.
        command
            .args(["--cargo-arg=--lib", &format!("--cargo-arg=--test={tests}")])
            .current_dir(top());
        // Tests that wait for what never comes do so together.
        command.env("RUST_TEST_THREADS", "32");
        steps.run_to(&name, &mut command, &FOUND)?;
        marks.pass(&mark)?;
    }
    judge(
        shards
            .iter()
            .map(|(package, _, at, _)| output(package, *at).join("mutants.out")),
    )
}

fn output(package: &str, shard: u32) -> PathBuf {
    target().join("mutation").join(format!("{package}-{shard}"))
}

fn is_installed() -> Result<(), String> {
    // Without it, cargo says that it knows no such command.
    let told = Command::new("cargo")
        .args(["mutants", "--version"])
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if told == format!("cargo-mutants {VERSION}") {
        return Ok(());
    }
    Err(format!(
        "cargo-mutants {VERSION} is needed: cargo install cargo-mutants --locked --version {VERSION}"
    ))
}

/// Compares what was missed with what is listed.
fn judge(outputs: impl Iterator<Item = PathBuf>) -> Result<(), String> {
    let (mut counts, mut found) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<Change>>::new());
    for output in outputs {
        for kind in ["caught", "unviable", "missed", "timeout"] {
            let path = output.join(kind).with_extension("txt");
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            *counts.entry(kind).or_insert(0) += text.lines().count();
            let of = found.entry(kind).or_default();
            for line in text.lines() {
                of.insert(placed(line)?);
            }
        }
    }
    let listed = listed(
        &fs::read_to_string(top().join("docs/mutants.md"))
            .map_err(|error| format!("docs/mutants.md: {error}"))?,
    );
    let mut is_exact = true;
    let mut tell = |wrong: &str, which: Vec<&Change>| {
        for (file, line, change) in which {
            println!("{wrong}: {file}\n* `{line}`, `{change}`:");
            is_exact = false;
        }
    };
    tell(
        "missed, and not listed",
        found["missed"].difference(&listed.missed).collect(),
    );
    tell(
        "listed, and caught or gone",
        listed.missed.difference(&found["missed"]).collect(),
    );
    tell(
        "without an end, and not listed",
        found["timeout"].difference(&listed.endless).collect(),
    );
    // On another machine one of several tests may fail before another waits for ever.
    let ended: BTreeSet<_> = found["timeout"].union(&found["caught"]).cloned().collect();
    tell(
        "listed as without an end, and missed or gone",
        listed.endless.difference(&ended).collect(),
    );
    let all: usize = counts.values().sum();
    let (caught, unviable, missed, endless) = (
        counts["caught"],
        counts["unviable"],
        counts["missed"],
        counts["timeout"],
    );
    println!(
        "mutants: {all}: {caught} caught, {endless} without an end, {unviable} do not compile, {missed} missed"
    );
    if !is_exact {
        return Err("docs/mutants.md does not list exactly what was missed".into());
    }
    println!(
        "mutants: each one is noticed, or listed in docs/mutants.md with the reason why behaviour is the same"
    );
    Ok(())
}

/// `file:line:column: change`, with the line's text in the place of its number, which changes with every edit above it.
fn placed(told: &str) -> Result<Change, String> {
    let mut parts = told.splitn(4, ':');
    let (Some(file), Some(line), Some(_column), Some(change)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!("cargo-mutants names no place: {told}"));
    };
    let text = fs::read_to_string(top().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let line = line
        .parse::<usize>()
        .ok()
        .and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let line = line.ok_or_else(|| format!("no such line: {told}"))?;
    Ok((
        file.to_owned(),
        line.trim().to_owned(),
        change.trim().to_owned(),
    ))
}

/// A heading per file; below it an item per change: `` * `line`, `change`: reason ``.
fn listed(text: &str) -> Listed {
    // An item goes on in lines that are indented.
    let text = text.replace("\n  ", " ");
    let mut listed = Listed::default();
    let (mut file, mut of) = ("", &mut listed.missed);
    for line in text.lines() {
        if line == ENDLESS {
            of = &mut listed.endless;
        } else if let Some(heading) = line.strip_prefix("### ") {
            file = heading;
        } else if let Some(item) = line.strip_prefix("* `") {
            let mut quoted = item.split('`').step_by(2);
            if let (Some(line), Some(change)) = (quoted.next(), quoted.next()) {
                of.insert((file.to_owned(), line.to_owned(), change.to_owned()));
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
        let text = "# Changes\n\n* none\n\n### src/a.rs\n\n* `a >= b`,\n  `replace >= with > in f`: the same,\n  as `a` is never `b`.\n* `c`, `d`: e\n";
        let text = format!("{text}\n{ENDLESS}\n\n### src/b.rs\n\n* `f`, `g`\n");
        let named = |file: &str, line: &str, change: &str| {
            (file.to_owned(), line.to_owned(), change.to_owned())
        };
        let missed = [
            named("src/a.rs", "a >= b", "replace >= with > in f"),
            named("src/a.rs", "c", "d"),
        ];
        assert_eq!(
            listed(&text),
            Listed {
                missed: missed.into(),
                endless: [named("src/b.rs", "f", "g")].into()
            }
        );
    }

    #[test]
    fn a_change_is_known_by_the_text_of_its_line() {
        let (file, line, change) =
            placed("xtask/src/mutants.rs:1:5: replace a with b in c: d").unwrap();
        assert_eq!(
            (file.as_str(), change.as_str()),
            ("xtask/src/mutants.rs", "replace a with b in c: d")
        );
        assert!(line.starts_with("//! Changes the code"));
        assert!(
            placed("replace a with b").is_err() && placed("xtask/src/mutants.rs:0:5: a").is_err()
        );
    }
}
