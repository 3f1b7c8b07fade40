//! The table of results: every scenario on every cache.

use std::{fmt, sync::Arc, thread};

use crate::{
    case::{Case, Observed, Stop},
    peers::{COLUMNS, Make},
    scenarios::{SCENARIOS, Scenario},
    store::Store,
};

/// The verdict on a cache in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cache behaved as expected.
    Pass,
    /// The cache did not behave as expected, or a call did not return in time.
    Fail,
    /// The cache lacks an operation of the scenario.
    NotApplicable,
}

/// The result of one scenario on one cache, which is a cell of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The verdict on the cache.
    pub verdict: Verdict,
    /// The values that the scenario observed, for the page.
    pub values: String,
}

/// The cells, first by column, then by scenario.
pub struct Table(pub Vec<Vec<Cell>>);

impl Table {
    /// Runs all scenarios on all caches. Caches run in parallel. The scenarios of one cache run one
    /// after the other.
    pub fn run(scenarios: &[Scenario]) -> Self {
        let column = |make: Make| {
            scenarios
                .iter()
                .map(|scenario| run(make, scenario))
                .collect()
        };
        thread::scope(|scope| {
            let columns: Vec<_> = COLUMNS
                .iter()
                .map(|cache| scope.spawn(move || column(cache.make)))
                .collect();
            Self(
                columns
                    .into_iter()
                    .map(|column| {
                        column
                            .join()
                            .expect("a scenario panicked; its message is printed above")
                    })
                    .collect(),
            )
        })
    }

    /// Returns a line for each scenario in which Greenroom's region does not pass.
    pub fn failures_of_greenroom(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (column, cells) in COLUMNS.iter().zip(&self.0) {
            for (scenario, cell) in SCENARIOS.iter().zip(cells) {
                if column.is_greenroom() && cell.verdict != Verdict::Pass {
                    failures.push(format!(
                        "{}, {}: {}",
                        column.name, scenario.name, cell.values
                    ));
                }
            }
        }
        failures
    }

    /// Returns the number of scenarios with this verdict. `column` is the index of the cache.
    pub fn count(&self, column: usize, verdict: Verdict) -> usize {
        self.0[column]
            .iter()
            .filter(|cell| cell.verdict == verdict)
            .count()
    }
}

/// Runs one scenario on one cache. Each scenario has a new runtime, so that no task continues into
/// the next one.
pub fn run(make: Make, scenario: &Scenario) -> Cell {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime with a timer can be built");
    let observed = runtime.block_on(async {
        let store = Arc::new(Store::default());
        let peer = make(store.clone(), scenario.ttl);
        (scenario.run)(&Case {
            peer,
            store,
            ttl: scenario.ttl,
        })
        .await
    });
    match observed {
        Ok(Observed {
            passed: true,
            values,
        }) => Cell {
            verdict: Verdict::Pass,
            values,
        },
        Ok(Observed {
            passed: false,
            values,
        }) => Cell {
            verdict: Verdict::Fail,
            values,
        },
        Err(Stop::NoAnswer(call)) => Cell {
            verdict: Verdict::Fail,
            values: format!("no answer to {call}"),
        },
        Err(Stop::NoSuchOperation) => Cell {
            verdict: Verdict::NotApplicable,
            values: "no such operation".into(),
        },
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "n/a",
        })
    }
}
