//! The table: every scenario on every cache.

use std::{fmt, sync::Arc, thread};

use crate::{
    case::{Case, Observed, Stop},
    peers::{COLUMNS, Make},
    scenarios::Scenario,
    store::Store,
};

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    NotApplicable,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) verdict: Verdict,
    pub(crate) values: String,
}

/// Cells by column, then by scenario.
pub(crate) struct Table(pub(crate) Vec<Vec<Cell>>);

impl Table {
    /// Runs everything, caches beside each other, the scenarios of one after each other.
    pub(crate) fn run(scenarios: &[Scenario]) -> Self {
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
                    .map(|column| column.join().expect("a scenario panicked, see above"))
                    .collect(),
            )
        })
    }

    /// How many scenarios of a column ended so.
    pub(crate) fn count(&self, column: usize, verdict: Verdict) -> usize {
        self.0[column]
            .iter()
            .filter(|cell| cell.verdict == verdict)
            .count()
    }
}

/// One scenario on one cache, in a runtime of its own, so that nothing is left for the next.
pub(crate) fn run(make: Make, scenario: &Scenario) -> Cell {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a thread and a timer");
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
        Err(Stop::NoAnswer(what)) => Cell {
            verdict: Verdict::Fail,
            values: format!("no answer to {what}"),
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
