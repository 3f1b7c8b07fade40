//! The in-progress map alone over a simple store: every execution of few threads, weak memory among them, keeps C1 and C2.
//!
//! Built only under `--cfg loom`, by `cargo xtask loom`.
#![cfg(loom)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock, atomic as plain},
    time::Instant,
};

use cache_core::progress::{Ask, AskPast, Progress};
use loom::{
    model::Builder,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// None: the protocol as it is.
    Kept,
    /// A load is stored only if it still stands.
    StoredIfItStands,
    /// No load begins to stand while a write is open.
    NoneInsideWindow,
    /// A contended write stores nothing.
    ContendedStoresNothing,
    /// A write takes the value out before it begins.
    RemovedBefore,
}

/// What guards the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    /// A lock of its own, which a hit takes alone, as in the cache.
    Apart,
    /// The map's lock: a read begins with its first step under it, since nothing comes before that, and what ends a read or
    /// a write is known under it. The fewer steps let all executions of more threads be explored.
    UnderTheMap,
}

/// One key of a cache before one row of a source.
struct Key {
    left_out: Rule,
    store: Store,
    /// What the stripe's lock guards.
    progress: Mutex<Progress<Arc<Flight>>>,
    /// Wakes who waits for a load.
    landed: Condvar,
    /// The store has a lock of its own, which hits take alone. 0 when nothing is there.
    value: Cell,
    /// The source: a read shows every write committed before it began.
    row: Cell,
    judge: Judge,
}

type Held<'a> = MutexGuard<'a, Progress<Arc<Flight>>>;

/// A number: of its own, so that the explorer sees each step, or guarded by the map's lock, so that it need not.
enum Number {
    Free(AtomicU64),
    Guarded(plain::AtomicU64),
}

/// A number behind a lock that is held for one step: each step sees all that came before the one before it.
struct Cell(Number);

/// A load, and what it gave. It lands under the map's lock, as early as it can: to know it later would ask less.
type Flight = OnceLock<u64>;

/// The newest version that was acknowledged or returned.
///
/// It is one atomic changed by relaxed steps: each sees the one before it, so that their order is the order of time and
/// is explored, and none orders anything else.
struct Judge(Number);

impl Number {
    fn new(store: Store, number: u64) -> Self {
        match store {
            Store::Apart => Self::Free(AtomicU64::new(number)),
            Store::UnderTheMap => Self::Guarded(plain::AtomicU64::new(number)),
        }
    }

    fn add(&self, n: u64, ordering: Ordering) -> u64 {
        match self {
            Self::Free(number) => number.fetch_add(n, ordering),
            Self::Guarded(number) => number.fetch_add(n, ordering),
        }
    }

    fn swap(&self, n: u64, ordering: Ordering) {
        match self {
            Self::Free(number) => number.swap(n, ordering),
            Self::Guarded(number) => number.swap(n, ordering),
        };
    }

    fn raise_to(&self, n: u64, ordering: Ordering) {
        match self {
            Self::Free(number) => number.fetch_max(n, ordering),
            Self::Guarded(number) => number.fetch_max(n, ordering),
        };
    }
}

impl Cell {
    fn get(&self) -> u64 {
        self.0.add(0, Ordering::AcqRel)
    }

    fn set(&self, version: u64) {
        self.0.swap(version, Ordering::AcqRel);
    }

    /// One more, which it gives.
    fn raise(&self) -> u64 {
        self.0.add(1, Ordering::AcqRel) + 1
    }
}

impl Judge {
    /// A read begins: what it may not fall below.
    fn begin(&self) -> u64 {
        self.0.add(0, Ordering::Relaxed)
    }

    /// A read ends with this version, or a write of it is acknowledged.
    fn knows(&self, version: u64) {
        self.0.raise_to(version, Ordering::Relaxed);
    }
}

impl Key {
    fn new(left_out: Rule, store: Store, is_cached: bool) -> Arc<Self> {
        Arc::new(Self {
            left_out,
            store,
            progress: Mutex::new(Progress::default()),
            landed: Condvar::new(),
            value: Cell(Number::new(store, u64::from(is_cached))),
            row: Cell(Number::new(Store::Apart, 1)),
            judge: Judge(Number::new(store, 1)),
        })
    }

    fn read(&self) {
        let begun = (self.store == Store::Apart).then(|| self.judge.begin());
        let (floor, version, held) = self.get_or_load(begun);
        self.check(version >= floor, || {
            format!("{version} was read after {floor} was acknowledged or read")
        });
        let under = held.filter(|_| self.store == Store::UnderTheMap);
        self.judge.knows(version);
        drop(under);
    }

    /// What it may not fall below, what is read, and the lock if it was taken.
    fn get_or_load(&self, begun: Option<u64>) -> (u64, u64, Option<Held<'_>>) {
        if let Some(floor) = begun
            && let Some(version) = self.look_up()
        {
            return (floor, version, None);
        }
        let held = self.lock();
        let floor = begun.unwrap_or_else(|| self.judge.begin());
        let (version, held) = match self.look_up() {
            Some(version) => (version, held),
            None => self.join_or_load(held),
        };
        (floor, version, Some(held))
    }

    fn join_or_load<'a>(&'a self, mut held: Held<'a>) -> (u64, Held<'a>) {
        match held.ask(false, |_| true) {
            Ask::Join(flight) => self.wait(&flight, held),
            Ask::Past if self.left_out != Rule::NoneInsideWindow => {
                drop(held);
                self.load_past()
            }
            Ask::Start | Ask::Past => {
                let flight = Arc::new(Flight::default());
                held.start(flight.clone());
                drop(held);
                self.load(&flight)
            }
        }
    }

    fn lock(&self) -> Held<'_> {
        self.progress.lock().unwrap()
    }

    fn look_up(&self) -> Option<u64> {
        Some(self.value.get()).filter(|version| *version > 0)
    }

    fn load(&self, flight: &Arc<Flight>) -> (u64, Held<'_>) {
        let version = self.row.get();
        let mut held = self.lock();
        let stood = held.end(|other| Arc::ptr_eq(other, flight));
        if stood || self.left_out == Rule::StoredIfItStands {
            self.value.set(version);
        }
        self.land(flight, version);
        (version, held)
    }

    fn load_past(&self) -> (u64, Held<'_>) {
        let flight = Arc::new(Flight::default());
        let mut held = self.lock();
        let line = held.ask_past();
        if let AskPast::Join(flight) = line {
            return self.wait(&flight, held);
        }
        held.wait_past(flight.clone());
        if matches!(line, AskPast::Wait) {
            return self.wait(&flight, held);
        }
        // Who finds nobody running the line runs it; a task of its own in the cache.
        drop(held);
        held = self.lock();
        while let Some(next) = held.next_past() {
            drop(held);
            let version = self.row.get();
            held = self.lock();
            self.land(&next, version);
        }
        self.wait(&flight, held)
    }

    fn land(&self, flight: &Flight, version: u64) {
        flight.set(version).expect("a load ends once");
        self.landed.notify_all();
    }

    fn wait<'a>(&'a self, flight: &Flight, mut held: Held<'a>) -> (u64, Held<'a>) {
        loop {
            if let Some(version) = flight.get() {
                return (*version, held);
            }
            held = self.landed.wait(held).unwrap();
        }
    }

    fn write(&self) {
        {
            let mut progress = self.progress.lock().unwrap();
            progress.open(false);
            if self.left_out != Rule::RemovedBefore {
                self.value.set(0);
            }
        }
        let version = self.row.raise();
        {
            let mut progress = self.progress.lock().unwrap();
            let alone = progress.close(false) || self.left_out == Rule::ContendedStoresNothing;
            if alone {
                self.value.set(version);
            }
            if self.store == Store::UnderTheMap {
                self.judge.knows(version);
            }
        }
        if self.store == Store::Apart {
            self.judge.knows(version);
        }
    }

    /// When nothing runs: nothing is in progress, and what is read is what stands in the source.
    fn at_rest(&self) {
        assert!(
            self.progress.lock().unwrap().is_idle(),
            "something is left in progress"
        );
        self.read();
        let ((_, version, _), holds) = (self.get_or_load(None), self.row.get());
        self.check(version == holds, || {
            format!("{version} is read at rest, and the source holds {holds}")
        });
    }

    /// Panics if it does not hold; with a rule left out, where that is looked for, without a word.
    fn check(&self, holds: bool, wrong: impl Fn() -> String) {
        if holds {
            return;
        }
        assert!(self.left_out != Rule::Kept, "{}", wrong());
        std::panic::resume_unwind(Box::new(wrong()));
    }
}

/// Preemptions of a thread that could go on, where three threads run and the store has a lock of its own. Everywhere else
/// there is no bound.
const PREEMPTIONS: usize = 3;
/// The same in the long form. Each one more takes some eight times as long.
const PROOF_PREEMPTIONS: usize = 5;

/// A scene: its writers, its readers, whether the value is in memory when they begin, and what guards it.
type Scene = (usize, usize, bool, Store);

#[rustfmt::skip] // One pair a line.
const SCENES: [Scene; 14] = [
    (1, 1, false, Store::Apart), (1, 1, true, Store::Apart),
    (2, 0, false, Store::Apart), (2, 0, true, Store::Apart),
    (1, 2, false, Store::Apart), (1, 2, true, Store::Apart),
    (2, 1, false, Store::Apart), (2, 1, true, Store::Apart),
    (3, 0, false, Store::UnderTheMap), (3, 0, true, Store::UnderTheMap),
    (2, 1, false, Store::UnderTheMap), (2, 1, true, Store::UnderTheMap),
    (1, 2, false, Store::UnderTheMap), (1, 2, true, Store::UnderTheMap),
];

fn bound((writers, readers, _, store): Scene) -> Option<usize> {
    let bound = if std::env::var_os("GREENROOM_PROOF").is_some() {
        PROOF_PREEMPTIONS
    } else {
        PREEMPTIONS
    };
    (writers + readers > 2 && store == Store::Apart).then_some(bound)
}

/// Explores a scene to its end. How many executions it has.
fn explore(left_out: Rule, scene: Scene) -> u64 {
    let (writers, readers, is_cached, store) = scene;
    let executions = Arc::new(plain::AtomicU64::new(0));
    let counted = executions.clone();
    let mut explorer = Builder::new();
    explorer.preemption_bound = bound(scene);
    explorer.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let key = Key::new(left_out, store, is_cached);
        let spawn = |run: fn(&Key)| {
            let key = key.clone();
            thread::spawn(move || run(&key))
        };
        let threads: Vec<_> = (0..writers)
            .map(|_| spawn(Key::write))
            .chain((0..readers).map(|_| spawn(Key::read)))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        key.at_rest();
    });
    executions.load(Ordering::Relaxed)
}

#[test]
fn no_execution_of_writers_and_readers_reads_anything_old() {
    for scene in SCENES {
        let began = Instant::now();
        let executions = explore(Rule::Kept, scene);
        let bound = bound(scene).map_or("all of them".to_owned(), |bound| {
            format!("all with at most {bound} preemptions")
        });
        let (writers, readers, is_cached, store) = scene;
        let value = if is_cached {
            "in memory"
        } else {
            "not in memory"
        };
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{writers} writers, {readers} readers, value {value}, store {store:?}: {executions} executions, {bound}, {seconds:.1} s"
        );
        assert!(executions > 10, "hardly anything was explored");
    }
}

#[test]
fn each_rule_left_out_is_found() {
    let rules = [
        Rule::StoredIfItStands,
        Rule::NoneInsideWindow,
        Rule::ContendedStoresNothing,
        Rule::RemovedBefore,
    ];
    for rule in rules {
        let found = find(rule);
        println!("{rule:?} left out: found in {found:?}");
        assert!(
            found.is_some(),
            "{rule:?} left out, and nothing old is read"
        );
    }
}

/// The first scene that goes wrong.
fn find(left_out: Rule) -> Option<Scene> {
    SCENES
        .into_iter()
        .find(|scene| catch_unwind(AssertUnwindSafe(|| explore(left_out, *scene))).is_err())
}
