//! The committed results, and the comparison of new ones with them.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{origin, ratio::Ratio, section::Section};
use crate::{error::BenchError, run_mode::RunMode};

/// The contents of `results.json`: by the name of each benchmark, its last committed run on each
/// machine. Ratios of times differ between processors, so a run is compared with one on the same.
#[derive(Default, Serialize, Deserialize)]
pub struct Results(BTreeMap<String, Vec<MeasuredSection>>);

/// The ratios and raw figures of one benchmark, and their origin.
#[derive(Serialize, Deserialize)]
struct MeasuredSection {
    machine: String,
    versions: String,
    commit: String,
    is_quick: bool,
    seconds: f64,
    ratios: Vec<Ratio>,
    raw: Value,
}

/// The comparison of a new section with the committed one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// A description of each ratio that is worse, or that only one of the two sections has.
    pub regressions: Vec<String>,
    /// The number of ratios that both sections have.
    pub compared: usize,
}

impl Results {
    /// Reads a file. Returns empty results if the file does not exist.
    pub fn read(file: &Path) -> Result<Self, BenchError> {
        match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map_err(|source| BenchError::InvalidResults {
                path: file.to_owned(),
                source,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(BenchError::File {
                path: file.to_owned(),
                source,
            }),
        }
    }

    /// Stores the section of a benchmark, and replaces its earlier section of this machine.
    pub fn put(&mut self, name: &str, section: &Section, mode: RunMode, seconds: f64) {
        self.put_of(&origin::machine(), name, section, mode, seconds);
    }

    fn put_of(
        &mut self,
        machine: &str,
        name: &str,
        section: &Section,
        mode: RunMode,
        seconds: f64,
    ) {
        let measured = MeasuredSection {
            machine: machine.to_owned(),
            versions: origin::versions(),
            commit: origin::commit(),
            is_quick: mode == RunMode::Quick,
            seconds: seconds.round(),
            ratios: section.ratios.clone(),
            raw: round_figures(section.raw.clone()),
        };
        let sections = self.0.entry(name.to_owned()).or_default();
        sections.retain(|section| section.machine != machine);
        sections.push(measured);
    }

    fn of_this_machine(&self, name: &str) -> Option<&MeasuredSection> {
        let machine = origin::machine();
        let mut sections = self.0.get(name)?.iter();
        sections.find(|section| section.machine == machine)
    }

    /// Writes all results to a file.
    pub fn write(&self, file: &Path) -> Result<(), BenchError> {
        // Each run has one line, so that a diff shows which benchmarks were measured again.
        let mut lines = Vec::new();
        for (name, sections) in &self.0 {
            let sections: Result<Vec<_>, _> = sections.iter().map(serde_json::to_string).collect();
            let sections = sections.map_err(BenchError::Serialize)?;
            lines.push(format!("\"{name}\": [\n{}\n]", sections.join(",\n")));
        }
        fs::write(file, format!("{{\n{}\n}}\n", lines.join(",\n"))).map_err(|source| {
            BenchError::File {
                path: file.to_owned(),
                source,
            }
        })
    }

    /// Compares the ratios of a new section with those committed for this machine. A ratio that
    /// only one of them has counts as a regression, so that no ratio is dropped unnoticed.
    pub fn compare(&self, name: &str, section: &Section) -> Comparison {
        let mut comparison = Comparison::default();
        let committed = self.of_this_machine(name);
        let Some(committed) = committed.filter(|committed| !committed.is_quick) else {
            comparison.regressions.push(format!(
                "{name}: no full run on {} is committed",
                origin::machine()
            ));
            return comparison;
        };
        for before in &committed.ratios {
            if !section.ratios.iter().any(|ratio| ratio.name == before.name) {
                comparison
                    .regressions
                    .push(format!("{}: committed, but not measured", before.name));
            }
        }
        for ratio in &section.ratios {
            let before = committed
                .ratios
                .iter()
                .find(|before| before.name == ratio.name);
            let Some(before) = before else {
                comparison
                    .regressions
                    .push(format!("{}: measured, but not committed", ratio.name));
                continue;
            };
            // Another machine, or a busy one, changes a plain figure. Its goal judges it.
            if !ratio.is_plain {
                comparison.compared += 1;
                comparison.regressions.extend(ratio.regression_from(before));
            }
        }
        comparison
    }

    /// Returns a sentence that says where and when a benchmark was measured; an empty text if there
    /// are no results of it.
    pub fn origin(&self, name: &str) -> String {
        self.of_this_machine(name)
            .map_or_else(String::new, |measured| {
                let suffix = if measured.is_quick { ", quick run" } else { "" };
                format!(
                    "Measured in {} s on {}, {}, commit {}{suffix}.",
                    measured.seconds, measured.machine, measured.versions, measured.commit
                )
            })
    }
}

/// Rounds all numbers to five significant digits. Measurements are less precise than that.
fn round_figures(raw: Value) -> Value {
    match raw {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            format!("{number:.4e}")
                .parse::<f64>()
                .map_or(Value::Null, Value::from)
        }
        Value::Array(values) => values.into_iter().map(round_figures).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, round_figures(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::Estimate, report::ratio::Goal};

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

    fn section(ratio: Ratio) -> Section {
        Section {
            ratios: vec![ratio],
            ..Section::default()
        }
    }

    fn committed(ratio: Ratio) -> Results {
        let mut results = Results::default();
        results.put("hits", &section(ratio), RunMode::Full, 1.0);
        results
    }

    #[test]
    fn a_figure_is_worse_only_if_its_interval_lies_apart_on_the_wrong_side() {
        for (measured, is_worse) in [
            (ratio(1.3, 1.4, Goal::AtMost(1.0)), true),
            (ratio(1.1, 1.4, Goal::AtMost(1.0)), false),
            (ratio(0.5, 0.6, Goal::AtMost(1.0)), false),
            (ratio(1.3, 1.4, Goal::Less), true),
            (ratio(0.5, 0.9, Goal::AtLeast(1.0)), true),
            (ratio(0.5, 1.1, Goal::AtLeast(1.0)), false),
            (ratio(1.3, 1.4, Goal::More), false),
        ] {
            let results = committed(ratio(1.0, 1.2, measured.goal));
            let comparison = results.compare("hits", &section(measured.clone()));
            assert_eq!(
                (comparison.regressions.len(), comparison.compared),
                (usize::from(is_worse), 1),
                "{measured:?}: {comparison:?}"
            );
        }
    }

    #[test]
    fn a_time_may_drift_between_runs() {
        let results = committed(ratio(1.0, 1.2, Goal::Less));
        let is_worse = |low: f64| {
            let mut measured = ratio(low, low + 0.1, Goal::Less);
            measured.estimate.drift = 0.1;
            let comparison = results.compare("hits", &section(measured));
            !comparison.regressions.is_empty()
        };
        assert_eq!((is_worse(1.3), is_worse(1.32)), (false, true));
    }

    #[test]
    fn a_plain_figure_is_not_compared() {
        let results = committed(ratio(1.0, 1.2, Goal::Less));
        let plain = Ratio {
            is_plain: true,
            ..ratio(7.0, 8.0, Goal::Less)
        };
        let comparison = results.compare("hits", &section(plain));
        assert_eq!(comparison, Comparison::default());
    }

    #[test]
    fn a_ratio_without_a_counterpart_is_reported() {
        let measured = section(ratio(1.0, 1.2, Goal::Less));
        let not_committed = Comparison {
            regressions: vec![format!(
                "hits: no full run on {} is committed",
                origin::machine()
            )],
            compared: 0,
        };
        assert_eq!(Results::default().compare("hits", &measured), not_committed);
        let mut results = Results::default();
        results.put("hits", &measured, RunMode::Quick, 1.0);
        assert_eq!(
            results.compare("hits", &measured),
            not_committed,
            "a quick run is not compared with"
        );
        results.put_of("another machine", "hits", &measured, RunMode::Full, 1.0);
        assert_eq!(
            results.compare("hits", &measured),
            not_committed,
            "a run of another machine is not compared with"
        );
        results.put("hits", &measured, RunMode::Full, 1.0);
        let other = section(Ratio {
            name: "another".into(),
            ..ratio(1.0, 1.2, Goal::Less)
        });
        let comparison = results.compare("hits", &other);
        assert_eq!(comparison.compared, 0);
        assert_eq!(
            comparison.regressions,
            [
                "a figure: committed, but not measured",
                "another: measured, but not committed"
            ]
        );
    }

    #[test]
    fn results_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let mut results = Results::read(&file).unwrap();
        let before = section(ratio(1.0, 1.2, Goal::AtMost(2.0)));
        results.put("hits", &before, RunMode::Full, 3.0);
        results.put("misses", &before, RunMode::Quick, 3.0);
        results.put_of("another machine", "hits", &before, RunMode::Full, 3.0);
        results.write(&file).unwrap();
        let results = Results::read(&file).unwrap();
        assert_eq!(results.0["hits"].len(), 2);
        let after = section(ratio(1.3, 1.4, Goal::AtMost(2.0)));
        assert_eq!(results.compare("hits", &after).regressions.len(), 1);
        assert!(results.origin("misses").contains("quick run"));
    }
}
