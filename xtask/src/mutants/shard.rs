//! The shards, and the runs of cargo-mutants that test them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::list::{Outcome, Results, read};
use crate::{
    package::package_of,
    steps::{Steps, target, top},
};

/// The slowest tests, which repeat a scenario once for each call or each poll. They take nine
/// tenths of the time of all tests, and detect few changes that the other tests do not detect.
const SLOW_TESTS: [&str; 3] = [
    "a_caller_or_task_dropped_at_any_poll",
    "a_panic_at_any_call",
    "no_older_row_is_read_after_a_bulk_invalidation",
];

/// Exit codes of cargo-mutants for missed changes and timeouts. Neither fails the command yet,
/// because docs/mutants.md may list these changes.
const FOUND: [i32; 2] = [2, 3];

/// A part of the changes of one package, which cargo-mutants tests in one run.
pub(super) struct Shard {
    pub(super) package: &'static str,
    /// The test binary that must detect the changes.
    pub(super) test: &'static str,
    pub(super) at: u32,
    /// The number of shards of this package.
    pub(super) count: u32,
}

impl Shard {
    fn name(&self) -> String {
        format!("{} {} of {}", self.package, self.at + 1, self.count)
    }

    /// Returns the folder for the results of the quick run, which leaves out the slowest tests.
    fn quick_output(&self) -> PathBuf {
        let name = format!("{}-{}-quick", self.package, self.at);
        target().join("mutation").join(name)
    }

    /// Returns the folder for the results of the full run, which runs all tests on the changes that
    /// the quick run did not detect.
    fn full_output(&self) -> PathBuf {
        let name = format!("{}-{}-full", self.package, self.at);
        target().join("mutation").join(name)
    }

    /// Runs all tests except the slowest ones on the changes of this shard.
    pub(super) fn run_quick(&self, steps: &mut Steps) -> Result<(), String> {
        let mut options = vec!["--shard".into(), format!("{}/{}", self.at, self.count)];
        options.extend(["--".into(), "--".into()]);
        let skipped = SLOW_TESTS.iter();
        options.extend(skipped.flat_map(|test| ["--skip".into(), (*test).to_owned()]));
        let name = format!("{}, without the slowest tests", self.name());
        self.run(steps, &name, &self.quick_output(), &options)
    }

    /// Runs all tests on the changes that the quick run did not detect.
    pub(super) fn run_full(&self, steps: &mut Steps) -> Result<(), String> {
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
            .args(["mutants", "--jobs", "4", "--package"])
            .arg(package_of(self.package))
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
    pub(super) fn collect(&self, results: &mut Results) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_with_a_meaning_in_a_regular_expression_is_escaped() {
        assert_eq!(
            escaped("a.rs:1:2: replace -> Option<u8> with Some(0)"),
            r"a\.rs:1:2: replace \-> Option<u8> with Some\(0\)"
        );
    }
}
