//! Rules that carry cost, not claims: each is shown by how many loads or fills its story takes, with it and without it.

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

use cache_core::{Fault, Policy, Region, TailRead};
use futures_util::future::join_all;

use crate::{support::*, tails::setup_of};

const READERS: usize = 10;

fn bench_without(fault: Fault) -> Bench {
    bench_with(Policy::new(TTL, 1_000), |builder| {
        #[cfg(feature = "faults")]
        let builder = builder.fault(fault);
        #[cfg(not(feature = "faults"))]
        assert_eq!(fault, Fault::None);
        builder
    })
}

type Doing = Box<dyn FnOnce() + Send>;

/// A number that does something when it is looked up for the second time.
#[derive(Clone, Default)]
struct Watched {
    number: u64,
    hashes: Arc<AtomicUsize>,
    second: Arc<Mutex<Option<Doing>>>,
}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.hashes.fetch_add(1, Ordering::SeqCst) == 1 {
            let second = self.second.lock().unwrap().take();
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

/// Somebody stores a value between a reader's look at the values and its look at the absences.
async fn loads_of_what_was_stored_since_the_first_look(fault: Fault) -> usize {
    let bench = bench_without(fault);
    let watched: Region<Watched, u64> = bench.manager.region("watched", Policy::new(TTL, 10));
    let key = Watched::default();
    let stored = watched.clone();
    *key.second.lock().unwrap() = Some(Box::new(move || {
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
        key.second.lock().unwrap().is_none(),
        "it was stored meanwhile"
    );
    row.reads()
}

/// Readers come inside a window before anybody has polled the load of the first.
async fn loads_inside_a_window(fault: Fault) -> usize {
    let bench = bench_without(fault);
    let row = Row::holding(10);
    let (write, window) = bench.open_window(20).await;
    let readers: Vec<_> = (0..READERS)
        .map(|_| begin_read(&bench.numbers, 1, row.read()))
        .collect();
    for read in readers {
        assert_eq!(
            told(read).await,
            (Some(10), cache_core::Source::DuringWrite)
        );
    }
    window.open();
    write.await.unwrap();
    row.reads()
}

/// Readers wait for one load, which fails.
async fn loads_of_what_fails(fault: Fault) -> usize {
    let bench = bench_without(fault);
    let loads = Arc::new(AtomicUsize::new(0));
    let (mut gate, pass) = gate();
    let counted = loads.clone();
    let first = begin_read(&bench.numbers, 1, move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        pass.wait().await;
        Err(Down)
    });
    let others = (1..READERS).map(|_| {
        let counted = loads.clone();
        begin_read(&bench.numbers, 1, move || async move {
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
        assert_eq!(read.unwrap_err().source_as(), Some(&Down));
    }
    loads.load(Ordering::SeqCst)
}

/// Two entries are committed while a log is filled, and then readers come.
async fn fills_of_a_log_that_is_appended_to_meanwhile(fault: Fault) -> usize {
    let s = setup_of(bench_without(fault));
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
async fn what_was_stored_since_the_first_look_is_not_loaded() {
    assert_eq!(
        loads_of_what_was_stored_since_the_first_look(Fault::None).await,
        0
    );
}

#[tokio::test]
async fn readers_inside_a_window_share_a_load_that_nobody_has_polled() {
    assert_eq!(loads_inside_a_window(Fault::None).await, 1);
}

#[tokio::test]
async fn a_load_that_failed_is_not_repeated_for_each_who_waited() {
    assert_eq!(loads_of_what_fails(Fault::None).await, 1);
}

#[tokio::test]
async fn a_log_that_is_appended_to_during_its_fill_is_filled_once() {
    assert_eq!(
        fills_of_a_log_that_is_appended_to_meanwhile(Fault::None).await,
        1
    );
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn each_of_these_rules_left_out_costs_more() {
    let mut costs = Vec::new();
    for fault in Fault::COSTS {
        costs.push(match fault {
            Fault::OneLook => loads_of_what_was_stored_since_the_first_look(fault).await,
            Fault::UnsharedPast => loads_inside_a_window(fault).await,
            Fault::FailureRepeated => loads_of_what_fails(fault).await,
            Fault::FillMissesArrivals => fills_of_a_log_that_is_appended_to_meanwhile(fault).await,
            other => panic!("{other:?} has no story"),
        });
    }
    assert_eq!(costs, [1, READERS, READERS, 2]);
}
