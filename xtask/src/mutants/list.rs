//! The changes with their outcomes, and the list in docs/mutants.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::steps::top;

/// The heading in docs/mutants.md above the changes that make a test wait forever.
const ENDLESS: &str = "## Noticed by a test that never ends";

/// A change of the code: the file, the text of the changed line, and the description of the change.
pub(super) type Change = (String, String, String);

/// The changes that docs/mutants.md lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listed {
    /// Changes that no test detects.
    pub(super) missed: BTreeSet<Change>,
    /// Changes that make a test wait forever.
    pub(super) endless: BTreeSet<Change>,
}

/// The result of the tests for a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Caught,
    Endless,
    Missed,
    /// The changed code does not compile.
    Unviable,
}

/// The changes with each outcome.
#[derive(Default)]
pub(super) struct Results(BTreeMap<Outcome, Vec<Change>>);

impl Results {
    /// Adds the changes that a file of cargo-mutants lists.
    pub(super) fn add(&mut self, outcome: Outcome, file: &Path) -> Result<(), String> {
        let changes = self.0.entry(outcome).or_default();
        for line in read(file)?.lines() {
            changes.push(parse_change(line)?);
        }
        Ok(())
    }

    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.0.get(&outcome).map_or(0, Vec::len)
    }

    pub(super) fn set(&self, outcome: Outcome) -> BTreeSet<Change> {
        self.0
            .get(&outcome)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// Reads a file. The error names the path.
pub(super) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
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
pub(super) fn listed(text: &str) -> Listed {
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
    fn a_change_is_known_by_the_text_of_its_line() {
        let (file, line, change) =
            parse_change("xtask/src/mutants/mod.rs:1:5: replace a with b in c: d").unwrap();
        assert_eq!(
            (file.as_str(), change.as_str()),
            ("xtask/src/mutants/mod.rs", "replace a with b in c: d")
        );
        assert!(line.starts_with("//! Runs cargo-mutants"));
        assert!(
            parse_change("replace a with b").is_err()
                && parse_change("xtask/src/mutants/mod.rs:0:5: a").is_err()
        );
    }
}
