//! What is measured, as tables, plots, verdicts and raw figures; and what was committed of it.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{measure::Estimate, plot::Plot};

/// What one part of the run found.
#[derive(Default)]
pub struct Part {
    /// Tables, in the order in which they are shown.
    pub tables: Vec<Table>,
    /// Figures that do not depend on how fast the machine is, to be compared from commit to commit.
    pub ratios: Vec<Ratio>,
    /// Pictures of the figures.
    pub plots: Vec<Plot>,
    /// Everything as it was measured.
    pub raw: Value,
}

/// A table in Markdown.
pub struct Table(String);

/// A figure that is compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    /// What it is, the same in each commit.
    pub name: String,
    /// How it was found.
    pub found: Estimate,
    /// What it is to be.
    pub goal: Goal,
}

/// Which way is better, and how far one wants to get.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Less is better; at most so much.
    AtMost(f64),
    /// More is better; at least so much.
    AtLeast(f64),
    /// Less is better, without a goal.
    Less,
    /// More is better, without a goal.
    More,
}

/// What stands in `results.json`.
#[derive(Default, Serialize, Deserialize)]
pub struct Results(BTreeMap<String, Measured>);

/// A part, with where and when it was measured.
#[derive(Serialize, Deserialize)]
struct Measured {
    machine: String,
    versions: String,
    commit: String,
    is_quick: bool,
    seconds: f64,
    ratios: Vec<Ratio>,
    raw: Value,
}

impl Table {
    /// A table with these columns.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self(format!(
            "| {} |\n{}|\n",
            columns.join(" | "),
            "|---".repeat(N)
        ))
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        writeln!(self.0, "| {} |", cells.join(" | ")).expect("text takes text");
    }
}

impl Ratio {
    /// A figure with its goal.
    pub fn new(name: impl Into<String>, found: Estimate, goal: Goal) -> Self {
        Self {
            name: name.into(),
            found,
            goal,
        }
    }

    fn verdict(&self) -> Option<String> {
        let Estimate {
            median, low, high, ..
        } = self.found;
        let (word, goal, is_met, is_missed) = match self.goal {
            Goal::AtMost(goal) => ("at most", goal, high <= goal, low > goal),
            Goal::AtLeast(goal) => ("at least", goal, low >= goal, high < goal),
            Goal::Less | Goal::More => return None,
        };
        let verdict = match (is_met, is_missed) {
            (true, _) => "met",
            (_, true) => "missed",
            _ => "not decided: the interval holds the goal",
        };
        let interval = if low < high {
            format!(" ({} to {})", shown(low), shown(high))
        } else {
            String::new()
        };
        Some(format!(
            "* {}: {}{interval}, goal {word} {}: {verdict}",
            self.name,
            shown(median),
            shown(goal)
        ))
    }

    /// Whether this is worse than `before` by more than both intervals and what runs differ by.
    fn is_worse_than(&self, before: &Self) -> bool {
        let drift = self.found.drift;
        match self.goal {
            Goal::AtMost(_) | Goal::Less => self.found.low > before.found.high + drift,
            Goal::AtLeast(_) | Goal::More => self.found.high < before.found.low - drift,
        }
    }
}

fn shown(value: f64) -> String {
    let digits = if value.abs() < 20.0 { 3 } else { 2 };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

impl Part {
    /// Tables, plots and verdicts as Markdown, with links to plots in `plots`.
    pub fn markdown(&self, plots: &str) -> String {
        let mut blocks: Vec<_> = self
            .tables
            .iter()
            .map(|table| table.0.trim_end().to_owned())
            .collect();
        blocks.extend(
            self.plots
                .iter()
                .map(|plot| format!("![{}]({plots}/{}.svg)", plot.title, plot.file)),
        );
        let verdicts: Vec<_> = self.ratios.iter().filter_map(Ratio::verdict).collect();
        if !verdicts.is_empty() {
            blocks.push(verdicts.join("\n"));
        }
        blocks.join("\n\n")
    }
}

impl Results {
    /// What a file holds; nothing if it is not there.
    pub fn read(file: &Path) -> Result<Self, String> {
        match fs::read_to_string(file) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file.display())),
        }
    }

    /// A part that was measured now takes the place of an older one.
    pub fn put(&mut self, name: &str, part: &Part, is_quick: bool, seconds: f64) {
        let measured = Measured {
            machine: machine(),
            versions: versions(),
            commit: commit(),
            is_quick,
            seconds: seconds.round(),
            ratios: part.ratios.clone(),
            raw: rounded(part.raw.clone()),
        };
        self.0.insert(name.to_owned(), measured);
    }

    /// Writes the file.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        // A line a part, so that a change shows whose it is.
        let mut parts = Vec::new();
        for (name, measured) in &self.0 {
            let measured = serde_json::to_string(measured).map_err(|error| error.to_string())?;
            parts.push(format!("\"{name}\": {measured}"));
        }
        fs::write(file, format!("{{\n{}\n}}\n", parts.join(",\n")))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// The figures of a part that are worse than those here, and how many were compared. What has no figure to be compared
    /// with, there or here, counts as worse: nothing is left out in silence.
    pub fn regressions(&self, name: &str, part: &Part) -> (Vec<String>, usize) {
        let Some(before) = self.0.get(name).filter(|before| !before.is_quick) else {
            return (vec![format!("{name}: no full run of it was committed")], 0);
        };
        let (mut worse, mut compared) = (Vec::new(), 0);
        let is_measured = |then: &&Ratio| part.ratios.iter().any(|now| now.name == then.name);
        worse.extend(
            before
                .ratios
                .iter()
                .filter(|then| !is_measured(then))
                .map(|then| format!("{}: not measured any more", then.name)),
        );
        for now in &part.ratios {
            let Some(then) = before.ratios.iter().find(|then| then.name == now.name) else {
                worse.push(format!("{}: never committed", now.name));
                continue;
            };
            compared += 1;
            if now.is_worse_than(then) {
                let Estimate {
                    median, low, high, ..
                } = now.found;
                let (shown_low, shown_high) = (shown(then.found.low), shown(then.found.high));
                worse.push(format!(
                    "{}: {} ({} to {}), was {shown_low} to {shown_high}",
                    now.name,
                    shown(median),
                    shown(low),
                    shown(high)
                ));
            }
        }
        (worse, compared)
    }

    /// Where and when a part was measured.
    pub fn origin(&self, name: &str) -> String {
        self.0.get(name).map_or_else(String::new, |measured| {
            let quick = if measured.is_quick {
                ", the quick form"
            } else {
                ""
            };
            format!(
                "Measured in {} s on {}, {}, commit {}{quick}.",
                measured.seconds, measured.machine, measured.versions, measured.commit
            )
        })
    }
}

/// Figures with as many digits as mean something.
fn rounded(raw: Value) -> Value {
    match raw {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            format!("{number:.4e}")
                .parse::<f64>()
                .map_or(Value::Null, Value::from)
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, rounded(value)))
            .collect(),
        other => other,
    }
}

/// The processor, how much of it there is, and the system.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, model)| model.to_owned())
    });
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::env::consts::OS;
    format!(
        "{} ({cores} cores, {} GiB, {system})",
        model.unwrap_or_else(|| "an unnamed processor".into()),
        kib.div_ceil(1024 * 1024)
    )
}

fn versions() -> String {
    let compiler = said("rustc", &["--version"]);
    let tree = said(
        "cargo",
        &[
            "tree",
            "--quiet",
            "--package",
            "bench",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--depth",
            "1",
        ],
    );
    let of = ["cached", "foyer", "mini-moka", "moka", "quick_cache"];
    let caches: Vec<_> = tree
        .lines()
        .filter(|line| of.iter().any(|name| line.starts_with(&format!("{name} "))))
        .map(|line| line.replace(" v", " "))
        .collect();
    format!(
        "{}; {}",
        compiler.split(" (").next().unwrap_or_default(),
        caches.join(", ")
    )
}

fn commit() -> String {
    let changed = if said(
        "git",
        &[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            "crates",
            "Cargo.lock",
        ],
    )
    .is_empty()
    {
        ""
    } else {
        " and changes"
    };
    said("git", &["rev-parse", "--short=12", "HEAD"]) + changed
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(::tests::workspace())
        .output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Puts `text` between `<!-- name -->` and `<!-- /name -->`.
pub fn replaced(document: &str, name: &str, text: &str) -> Result<String, String> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (Some(from), Some(to)) = (document.find(&open), document.find(&close)) else {
        return Err(format!("the document has no place for {name}"));
    };
    Ok(format!(
        "{}\n{text}\n{}",
        &document[..from + open.len()],
        &document[to..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, high: f64, goal: Goal) -> Ratio {
        Ratio::new(
            "a figure",
            Estimate {
                median: f64::midpoint(low, high),
                low,
                high,
                drift: 0.0,
            },
            goal,
        )
    }

    fn part(ratio: Ratio) -> Part {
        Part {
            ratios: vec![ratio],
            ..Part::default()
        }
    }

    #[test]
    fn a_figure_is_worse_only_if_the_intervals_are_apart_in_the_wrong_way() {
        for (goal, low, high, is_worse) in [
            (Goal::AtMost(1.0), 1.3, 1.4, true),
            (Goal::AtMost(1.0), 1.1, 1.4, false),
            (Goal::AtMost(1.0), 0.5, 0.6, false),
            (Goal::Less, 1.3, 1.4, true),
            (Goal::AtLeast(1.0), 0.5, 0.9, true),
            (Goal::AtLeast(1.0), 0.5, 1.1, false),
            (Goal::More, 1.3, 1.4, false),
        ] {
            let mut committed = Results::default();
            committed.put("part", &part(ratio(1.0, 1.2, goal)), false, 1.0);
            let (worse, compared) = committed.regressions("part", &part(ratio(low, high, goal)));
            assert_eq!(
                (worse.len(), compared),
                (usize::from(is_worse), 1),
                "{goal:?} {low} {high}: {worse:?}"
            );
        }
    }

    #[test]
    fn what_is_timed_may_drift_from_run_to_run() {
        let mut committed = Results::default();
        committed.put("part", &part(ratio(1.0, 1.2, Goal::Less)), false, 1.0);
        let is_worse = |low: f64| {
            let mut now = ratio(low, low + 0.1, Goal::Less);
            now.found.drift = 0.1;
            !committed.regressions("part", &part(now)).0.is_empty()
        };
        assert_eq!((is_worse(1.3), is_worse(1.32)), (false, true));
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let now = part(ratio(1.0, 1.2, Goal::Less));
        let told = |results: &Results, now: &Part| {
            let (worse, compared) = results.regressions("part", now);
            (worse.join(", "), compared)
        };
        assert_eq!(
            told(&Results::default(), &now),
            ("part: no full run of it was committed".into(), 0)
        );
        let mut committed = Results::default();
        committed.put("part", &now, true, 1.0);
        assert_eq!(
            told(&committed, &now),
            ("part: no full run of it was committed".into(), 0),
            "a quick one"
        );
        committed.put("part", &now, false, 1.0);
        let other = part(Ratio {
            name: "another".into(),
            ..ratio(1.0, 1.2, Goal::Less)
        });
        assert_eq!(
            told(&committed, &other),
            (
                "a figure: not measured any more, another: never committed".into(),
                0
            )
        );
    }

    #[test]
    fn a_verdict_is_by_the_interval() {
        let verdict = |low, high| ratio(low, high, Goal::AtMost(1.1)).verdict().unwrap();
        assert!(
            verdict(1.0, 1.1).ends_with("goal at most 1.1: met"),
            "{}",
            verdict(1.0, 1.1)
        );
        assert!(verdict(1.2, 1.3).ends_with(": missed"));
        assert!(verdict(1.0, 1.3).ends_with(": not decided: the interval holds the goal"));
        assert_eq!(ratio(1.0, 1.1, Goal::Less).verdict(), None);
    }

    #[test]
    fn results_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let mut results = Results::read(&file).unwrap();
        results.put(
            "part",
            &part(ratio(1.0, 1.2, Goal::AtMost(2.0))),
            false,
            3.0,
        );
        results.put(
            "quick",
            &part(ratio(1.0, 1.2, Goal::AtMost(2.0))),
            true,
            3.0,
        );
        results.write(&file).unwrap();
        let again = Results::read(&file).unwrap();
        assert_eq!(
            again
                .regressions("part", &part(ratio(1.3, 1.4, Goal::AtMost(2.0))))
                .0
                .len(),
            1
        );
        assert!(again.origin("quick").contains("the quick form"));
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let document = "a\n<!-- x -->\nold\n<!-- /x -->\nb";
        assert_eq!(
            replaced(document, "x", "new").unwrap(),
            "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
        );
        assert!(replaced(document, "y", "new").is_err());
    }
}
