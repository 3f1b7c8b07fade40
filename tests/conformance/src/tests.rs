//! Tests of the scenarios, of the adapters, and of the page. Each scenario must be able to pass and
//! to fail.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::{
    case::{Case, Observed, Stop},
    page,
    peers::{COLUMNS, Load, NoSuchOperation, Peer, weight},
    scenarios::{SCENARIOS, Scenario},
    store::{ReadError, Store},
    table::{Table, Verdict, run},
};

/// The results of all scenarios, and of the scenario of plain use. All tests share one run, because
/// a cache that is a static can run only one scenario at a time.
static FRESH: LazyLock<(Table, Table)> =
    LazyLock::new(|| (Table::run(&SCENARIOS), Table::run(&[PLAIN_USE])));

const PLAIN_USE: Scenario = Scenario {
    name: "plain use",
    story: "The row 1 is read twice, written as 2, and read twice.",
    expectation: "Each reader sees the row as it is, the second without a load.",
    ttl: Duration::from_hours(1),
    run: |case| plain_use(case).boxed(),
};

async fn plain_use(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    let old = (
        case.read("row/1").await,
        case.read("row/1").await,
        case.store.loads(),
    );
    case.write("row/1", 2).await?;
    let new = (case.read("row/1").await, case.read("row/1").await);
    // A cache whose writes store the row needs no load after the write.
    let passed = old.0 == 1
        && old.1 == 1
        && old.2 == 1
        && new.0 == 2
        && new.1 == 2
        && case.store.loads() <= 2;
    Ok(Observed::new(
        passed,
        format!("{old:?}, {new:?}, loads: {}", case.store.loads()),
    ))
}

#[test]
fn every_scenario_passes_on_the_region() {
    for (column, cells) in COLUMNS
        .iter()
        .zip(&FRESH.0.0)
        .filter(|(column, _)| column.is_greenroom())
    {
        for (scenario, cell) in SCENARIOS.iter().zip(cells) {
            assert_eq!(
                cell.verdict,
                Verdict::Pass,
                "{}, {}: {}",
                column.name,
                scenario.name,
                cell.values
            );
        }
    }
}

#[test]
fn every_scenario_can_fail() {
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let fails_elsewhere = FRESH
            .0
            .0
            .iter()
            .any(|cells| cells[row].verdict == Verdict::Fail);
        let careless = run(
            |store, _| {
                Arc::new(Careless {
                    store,
                    rows: Mutex::default(),
                })
            },
            scenario,
        );
        assert!(
            fails_elsewhere || careless.verdict == Verdict::Fail,
            "{} fails on no cache: {careless:?}",
            scenario.name
        );
    }
}

#[test]
fn every_scenario_passes_somewhere_else() {
    for (row, scenario) in SCENARIOS.iter().enumerate() {
        let mut others = COLUMNS
            .iter()
            .zip(&FRESH.0.0)
            .filter(|(column, _)| !column.is_greenroom());
        let passes = others.any(|(_, cells)| cells[row].verdict == Verdict::Pass);
        // No other cache guards its writes, so all of them fail the scenario of the cancelled
        // writer.
        assert_eq!(
            passes,
            scenario.name != "cancelled writer",
            "{}",
            scenario.name
        );
    }
}

#[test]
fn every_adapter_caches_loaded_rows_and_forgets_written_ones() {
    for (column, cells) in COLUMNS.iter().zip(&FRESH.1.0) {
        assert_eq!(
            cells[0].verdict,
            Verdict::Pass,
            "{}: {}",
            column.name,
            cells[0].values
        );
    }
}

#[test]
fn the_page_shows_the_verdicts_of_a_fresh_run() {
    let page = std::fs::read_to_string(page::PATH).unwrap();
    let shown: Vec<_> = page
        .lines()
        .skip_while(|line| !line.starts_with("| scenario |"))
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(
        shown,
        page::verdicts(&FRESH.0),
        "run `cargo xtask conformance` to write the page"
    );
}

#[test]
fn every_version_is_once_in_the_lock_file() {
    for column in &COLUMNS {
        assert!(page::version(column).contains('.'), "{}", column.name);
    }
}

/// A cache with deliberate mistakes. A shared load ends only if its first reader ends it, writers
/// store their value after the commit, and heavy rows are stored like others.
struct Careless {
    store: Arc<Store>,
    rows: Mutex<CarelessRows>,
}

#[derive(Default)]
struct CarelessRows {
    rows: HashMap<String, u64>,
    flights: HashMap<String, Arc<Notify>>,
}

impl Careless {
    fn rows(&self) -> MutexGuard<'_, CarelessRows> {
        self.rows.lock().unwrap()
    }
}

#[async_trait]
impl Peer for Careless {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let (store, row) = (self.store.clone(), key.to_owned());
        let load = async move { store.load(&row).await };
        self.read_with(key, load.boxed()).await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        let flight = {
            let mut rows = self.rows();
            if let Some(value) = rows.rows.get(key) {
                return Ok(*value);
            }
            let flight = rows.flights.get(key).cloned();
            if flight.is_none() {
                rows.flights.insert(key.to_owned(), Arc::default());
            }
            flight
        };
        if let Some(flight) = flight {
            flight.notified().await;
            return self
                .rows()
                .rows
                .get(key)
                .copied()
                .ok_or(ReadError::CacheFailed);
        }
        let row = load.await;
        if let Ok(value) = row {
            // The waiters hang if the weigher panics.
            assert!(weight(value) > 0, "a row weighs something");
            self.rows().rows.insert(key.to_owned(), value);
        }
        let mut rows = self.rows();
        if let Some(flight) = rows.flights.remove(key) {
            flight.notify_waiters();
        }
        row
    }

    fn has_weigher(&self) -> bool {
        true
    }

    async fn increment(&self, key: &str) {
        let found = self.rows().rows.get(key).copied();
        if let Some(row) = found {
            self.write(key, row + 1).await;
        }
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.rows().rows.insert(key.to_owned(), value);
    }

    async fn invalidate_prefix(&self, _: &str) -> Result<(), NoSuchOperation> {
        Err(NoSuchOperation)
    }

    async fn clear(&self) {
        self.rows().rows.clear();
    }

    async fn expire(&self, _: Duration) -> Result<(), NoSuchOperation> {
        Err(NoSuchOperation)
    }
}
