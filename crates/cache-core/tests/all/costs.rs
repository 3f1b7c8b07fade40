//! Rules that save loads but are not needed for coherence. Each test counts the loads or fills of
//! one scenario, with the rule and without it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    num::ParseIntError,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{Policy, Region, TailRead};
use futures_util::future::join_all;

use crate::{support::*, tails::setup_of};

const READERS: usize = 10;

fn fixture_without(fault: Fault) -> Fixture {
    fixture_with(Policy::new(TTL, 1_000), |builder| plant(builder, fault))
}

type Action = Box<dyn FnOnce() + Send>;

/// A key that runs a function when it is hashed for the second time.
#[derive(Clone, Default)]
struct Watched {
    number: u64,
    hashes: Arc<AtomicUsize>,
    on_second_hash: Arc<Mutex<Option<Action>>>,
}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.hashes.fetch_add(1, Ordering::SeqCst) == 1 {
            let second = self.on_second_hash.lock().unwrap().take();
            if let Some(run) = second {
                run();
            }
        }
        self.number.hash(state);
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Watched {}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl FromStr for Watched {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        Ok(Self {
            number: text.parse()?,
            ..Self::default()
        })
    }
}

/// Counts the loads of a reader that first finds no value, if a value is stored before the reader
/// looks up the absence.
async fn loads_of_a_value_stored_since_the_first_look(fault: Fault) -> usize {
    let cache = fixture_without(fault);
    let watched: Region<Watched, u64> = cache.manager.region("watched", Policy::new(TTL, 10));
    let key = Watched::default();
    let stored = watched.clone();
    *key.on_second_hash.lock().unwrap() = Some(Box::new(move || {
        assert!(stored.insert(Watched::default(), 10));
    }));
    let row = Row::holding(10);
    assert_eq!(
        watched
            .get_or_load(key.clone(), row.read())
            .await
            .unwrap()
            .value,
        Some(10)
    );
    assert!(
        key.on_second_hash.lock().unwrap().is_none(),
        "no value was stored meanwhile"
    );
    row.reads()
}

/// Counts the loads of ten readers that arrive inside a window before the load of the first reader
/// has been polled.
async fn loads_inside_a_window(fault: Fault) -> usize {
    let cache = fixture_without(fault);
    let row = Row::holding(10);
    let (write, window) = cache.open_window(20).await;
    let readers: Vec<_> = (0..READERS)
        .map(|_| begin_read(&cache.numbers, 1, row.read()))
        .collect();
    for read in readers {
        assert_eq!(
            value_and_source(read).await,
            (Some(10), cache_core::Source::DuringWrite)
        );
    }
    window.open();
    write.await.unwrap();
    row.reads()
}

/// Counts the loads of ten readers that wait for one load, which fails.
async fn loads_of_a_failing_key(fault: Fault) -> usize {
    let cache = fixture_without(fault);
    let loads = Arc::new(AtomicUsize::new(0));
    let (mut gate, pass) = gate();
    let counted = loads.clone();
    let first = begin_read(&cache.numbers, 1, move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        pass.wait().await;
        Err(Down)
    });
    let others = (1..READERS).map(|_| {
        let counted = loads.clone();
        begin_read(&cache.numbers, 1, move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(Down)
        })
    });
    let readers: Vec<_> = std::iter::once(first)
        .chain(others.collect::<Vec<_>>())
        .collect();
    gate.begun().await;
    gate.open();
    for read in join_all(readers).await {
        assert_eq!(read.unwrap_err().failed(), Some(&Down));
    }
    loads.load(Ordering::SeqCst)
}

/// Counts the fills of a log if two entries are committed during its first fill, and ten readers
/// arrive afterwards.
async fn fills_of_a_log_with_appends_during_its_fill(fault: Fault) -> usize {
    let s = setup_of(fixture_without(fault));
    let (fill, release) = s.held_fill();
    s.append(7, 2).await;
    s.append(7, 3).await;
    release.send(vec![1]).unwrap();
    fill.await;
    for _ in 0..READERS {
        assert!(matches!(s.fill(7, &[1, 2, 3]).await, TailRead::Found(_)));
    }
    assert_eq!(s.hit(7), Some(vec![1, 2, 3]));
    usize::try_from(s.logs.region().stats().loads).unwrap()
}

#[tokio::test]
async fn a_value_stored_since_the_first_look_is_not_loaded() {
    assert_eq!(
        loads_of_a_value_stored_since_the_first_look(Fault::None).await,
        0
    );
}

#[tokio::test]
async fn readers_inside_a_window_share_a_load_that_has_not_been_polled() {
    assert_eq!(loads_inside_a_window(Fault::None).await, 1);
}

#[tokio::test]
async fn a_failed_load_is_not_repeated_for_each_waiter() {
    assert_eq!(loads_of_a_failing_key(Fault::None).await, 1);
}

#[tokio::test]
async fn a_log_with_appends_during_its_fill_is_filled_once() {
    assert_eq!(
        fills_of_a_log_with_appends_during_its_fill(Fault::None).await,
        1
    );
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn each_of_these_rules_taken_out_costs_more() {
    let mut costs = Vec::new();
    for fault in Fault::COSTS {
        costs.push(match fault {
            Fault::OneLook => loads_of_a_value_stored_since_the_first_look(fault).await,
            Fault::UnsharedPast => loads_inside_a_window(fault).await,
            Fault::FailureRepeated => loads_of_a_failing_key(fault).await,
            Fault::FillMissesArrivals => fills_of_a_log_with_appends_during_its_fill(fault).await,
            other => panic!("no story measures {other:?}"),
        });
    }
    assert_eq!(costs, [1, READERS, READERS, 2]);
}
