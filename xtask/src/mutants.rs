//! Runs cargo-mutants, which changes the code in small ways, one change at a time, and expects a
//! test to fail for each change. docs/mutants.md lists the changes that no test can detect.
//!
//! The work is divided into shards. A shard that was completed with the present sources is skipped.
//! Each shard runs twice: first without the slowest tests, and then with all tests, on the changes
//! that the first run did not detect.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    marks::Marks,
    steps::{Steps, target, top},
};

/// The required version of cargo-mutants. Another version may describe a change differently, and
/// docs/mutants.md identifies changes by their descriptions.
const VERSION: &str = "27.1.0";

/// For each package: its name, the test binary that must detect the changes, and the number of
/// shards.
const PACKAGES: [(&str, &str, u32); 2] = [("cache-core", "all", 8), ("cache-adapter", "cached", 1)];

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

/// The slowest tests, which repeat a scenario once for each call or each poll. They take nine tenths
/// of the time of all tests, and detect few changes that the others do not.
const SLOW_TESTS: [&str; 3] = [
    "a_caller_or_task_dropped_at_any_poll",
    "a_panic_at_any_call",
    "no_older_row_is_read_after_a_bulk_invalidation",
];

/// The heading in docs/mutants.md above the changes that make a test wait forever.
const ENDLESS: &str = "## Noticed by a test that never ends";

/// Exit codes of cargo-mutants for missed changes and timeouts. Neither fails the command yet,
/// because docs/mutants.md may list these changes.
const FOUND: [i32; 2] = [2, 3];

/// A change of the code: the file, the text of the changed line, and the description of the change.
type Change = (String, String, String);

/// A part of the changes of one package, which cargo-mutants tests in one run.
struct Shard {
    package: &'static str,
    /// The test binary that must detect the changes.
    test: &'static str,
    at: u32,
    /// The number of shards of this package.
    count: u32,
}

/// The changes that docs/mutants.md lists.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    /// Changes that no test detects.
    missed: BTreeSet<Change>,
    /// Changes that make a test wait forever.
    endless: BTreeSet<Change>,
}

impl Shard {
    fn name(&self) -> String {
        format!("{} {} of {}", self.package, self.at + 1, self.count)
    }

    /// Returns the folder of the results without the slowest tests.
    fn quick_output(&self) -> PathBuf {
        let name = format!("{}-{}-quick", self.package, self.at);
        target().join("mutation").join(name)
    }

    /// Returns the folder of the results with all tests, for the changes that the quick run did not
    /// detect.
    fn full_output(&self) -> PathBuf {
        let name = format!("{}-{}-full", self.package, self.at);
        target().join("mutation").join(name)
    }

    /// Tests the changes of this shard without the slowest tests.
    fn run_quick(&self, steps: &mut Steps) -> Result<(), String> {
        let mut options = vec!["--shard".into(), format!("{}/{}", self.at, self.count)];
        options.extend(["--".into(), "--".into()]);
        let skipped = SLOW_TESTS.iter();
        options.extend(skipped.flat_map(|test| ["--skip".into(), (*test).to_owned()]));
        let name = format!("{}, without the slowest tests", self.name());
        self.run(steps, &name, &self.quick_output(), &options)
    }

    /// Tests the changes that the quick run did not detect with all tests.
    fn run_full(&self, steps: &mut Steps) -> Result<(), String> {
        let found = self.quick_output().join("mutants.out");
        let left = read(&found.join("missed.txt"))? + &read(&found.join("timeout.txt"))?;
        let options: Vec<_> = left
            .lines()
            .flat_map(|change| ["--re".to_owned(), format!("^{}$", escaped(change))])
            .collect();
        if options.is_empty() {
            return Ok(());
        }
        self.run(steps, &self.name(), &self.full_output(), &options)
    }

    fn run(
        &self,
        steps: &mut Steps,
        name: &str,
        output: &Path,
        options: &[String],
    ) -> Result<(), String> {
        fs::create_dir_all(output).map_err(|error| format!("{}: {error}", output.display()))?;
        let mut command = Command::new("cargo");
        command
            .args(["mutants", "--jobs", "2", "--package", self.package])
            .arg("--output")
            .arg(output)
            // Builds and runs only the unit tests and one test binary.
            .args([
                "--cargo-arg=--lib",
                &format!("--cargo-arg=--test={}", self.test),
            ])
            .args(options)
            .current_dir(top())
            // Many threads, so that tests that wait until their timeout wait at the same time.
            .env("RUST_TEST_THREADS", "32");
        steps.run_to(name, &mut command, &FOUND)
    }

    /// Adds the results of this shard to `results`.
    fn collect(&self, results: &mut Results) -> Result<(), String> {
        let quick = self.quick_output().join("mutants.out");
        results.add(Outcome::Unviable, &quick.join("unviable.txt"))?;
        results.add(Outcome::Caught, &quick.join("caught.txt"))?;
        let full = self.full_output().join("mutants.out");
        if full.exists() {
            results.add(Outcome::Caught, &full.join("caught.txt"))?;
            results.add(Outcome::Missed, &full.join("missed.txt"))?;
            results.add(Outcome::Endless, &full.join("timeout.txt"))?;
        }
        Ok(())
    }
}

/// The result of the tests for a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Caught,
    Endless,
    Missed,
    /// The changed code does not compile.
    Unviable,
}

/// The changes with each outcome.
#[derive(Default)]
struct Results(BTreeMap<Outcome, Vec<Change>>);

impl Results {
    /// Adds the changes that a file of cargo-mutants lists.
    fn add(&mut self, outcome: Outcome, file: &Path) -> Result<(), String> {
        let changes = self.0.entry(outcome).or_default();
        for line in read(file)?.lines() {
            changes.push(parse_change(line)?);
        }
        Ok(())
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.0.get(&outcome).map_or(0, Vec::len)
    }

    fn set(&self, outcome: Outcome) -> BTreeSet<Change> {
        self.0
            .get(&outcome)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

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

/// Returns a regular expression that matches exactly this text.
fn escaped(text: &str) -> String {
    let mut expression = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
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

/// Parses a line `file:line:column: change` of cargo-mutants. The change is identified by the text
/// of its source line, because every edit above the line changes its number.
fn parse_change(report: &str) -> Result<Change, String> {
    let mut parts = report.splitn(4, ':');
    let (Some(file), Some(line), Some(_column), Some(change)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!("cargo-mutants printed no position: {report}"));
    };
    let text = fs::read_to_string(top().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let line = line
        .parse::<usize>()
        .ok()
        .and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let line = line.ok_or_else(|| format!("no such line: {report}"))?;
    Ok((
        file.to_owned(),
        line.trim().to_owned(),
        change.trim().to_owned(),
    ))
}

/// Parses docs/mutants.md, which has a heading for each file and below it an item for each change:
/// `` * `line`, `change`: reason ``.
fn listed(text: &str) -> Listed {
    // An indented line continues the item above it.
    let text = text.replace("\n  ", " ");
    let mut listed = Listed::default();
    let mut file = "";
    let mut changes = &mut listed.missed;
    for line in text.lines() {
        if line == ENDLESS {
            changes = &mut listed.endless;
        } else if let Some(heading) = line.strip_prefix("### ") {
            file = heading;
        } else if let Some(item) = line.strip_prefix("* `") {
            let mut quoted = item.split('`').step_by(2);
            if let (Some(line), Some(change)) = (quoted.next(), quoted.next()) {
                changes.insert((file.to_owned(), line.to_owned(), change.to_owned()));
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
        let text = "# Changes\n\n* none\n\n### src/a.rs\n\n* `a >= b`,\n  \
                    `replace >= with > in f`: the same,\n  as `a` is never `b`.\n\
                    * `c`, `d`: e\n";
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
    fn every_character_with_a_meaning_in_a_regular_expression_is_escaped() {
        assert_eq!(
            escaped("a.rs:1:2: replace -> Option<u8> with Some(0)"),
            r"a\.rs:1:2: replace \-> Option<u8> with Some\(0\)"
        );
    }

    #[test]
    fn a_change_is_known_by_the_text_of_its_line() {
        let (file, line, change) =
            parse_change("xtask/src/mutants.rs:1:5: replace a with b in c: d").unwrap();
        assert_eq!(
            (file.as_str(), change.as_str()),
            ("xtask/src/mutants.rs", "replace a with b in c: d")
        );
        assert!(line.starts_with("//! Runs cargo-mutants"));
        assert!(
            parse_change("replace a with b").is_err()
                && parse_change("xtask/src/mutants.rs:0:5: a").is_err()
        );
    }
}
