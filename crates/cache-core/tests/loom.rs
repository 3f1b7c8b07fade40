//! The in-progress map alone over a simple store: every execution of few threads, weak memory among them, keeps C1 and C2.
//!
//! Built only under `--cfg loom`, by `cargo xtask loom`.
#![cfg(loom)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use cache_core::progress::{Ask, AskPast, Progress};
use loom::{
    model::Builder,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
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
    /// The store has a lock of its own, which hits take alone. 0 when nothing is there.
    value: Cell,
    /// The source: a read shows every write committed before it began.
    row: Cell,
    judge: Judge,
}

/// A number behind a lock that is held for one step: each step sees all that came before the one before it.
struct Cell(AtomicU64);

/// A load, and who waits for it.
#[derive(Default)]
struct Flight {
    landed: Mutex<Option<u64>>,
    wakes: Condvar,
}

/// The newest version that was acknowledged or returned.
///
/// It is one atomic changed by relaxed steps: each sees the one before it, so that their order is the order of time and
/// is explored, and none orders anything else.
struct Judge(AtomicU64);

impl Cell {
    fn get(&self) -> u64 {
        self.0.fetch_add(0, Ordering::AcqRel)
    }

    fn set(&self, version: u64) {
        self.0.swap(version, Ordering::AcqRel);
    }

    /// One more, which it gives.
    fn raise(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Judge {
    /// A read begins: what it may not fall below.
    fn begin(&self) -> u64 {
        self.0.fetch_add(0, Ordering::Relaxed)
    }

    /// A read ends with this version, or a write of it is acknowledged.
    fn knows(&self, version: u64) {
        self.0.fetch_max(version, Ordering::Relaxed);
    }
}

impl Flight {
    fn land(&self, version: u64) {
        *self.landed.lock().unwrap() = Some(version);
        self.wakes.notify_all();
    }

    fn wait(&self) -> u64 {
        let mut landed = self.landed.lock().unwrap();
        loop {
            if let Some(version) = *landed {
                return version;
            }
            landed = self.wakes.wait(landed).unwrap();
        }
    }
}

impl Key {
    fn new(left_out: Rule, store: Store, is_cached: bool) -> Arc<Self> {
        Arc::new(Self {
            left_out,
            store,
            progress: Mutex::new(Progress::default()),
            value: Cell(AtomicU64::new(u64::from(is_cached))),
            row: Cell(AtomicU64::new(1)),
            judge: Judge(AtomicU64::new(1)),
        })
    }

    fn read(&self) {
        let begun = (self.store == Store::Apart).then(|| self.judge.begin());
        let (floor, version) = self.get_or_load(begun);
        self.check(version >= floor, || format!("{version} was read after {floor} was acknowledged or read"));
        let under = (self.store == Store::UnderTheMap).then(|| self.progress.lock().unwrap());
        self.judge.knows(version);
        drop(under);
    }

    /// What it may not fall below, and what is read.
    fn get_or_load(&self, begun: Option<u64>) -> (u64, u64) {
        if let Some(floor) = begun
            && let Some(version) = self.look_up()
        {
            return (floor, version);
        }
        let progress = self.progress.lock().unwrap();
        let floor = begun.unwrap_or_else(|| self.judge.begin());
        (floor, self.look_up().unwrap_or_else(|| self.join_or_load(progress)))
    }

    fn join_or_load(&self, mut progress: MutexGuard<'_, Progress<Arc<Flight>>>) -> u64 {
        match progress.ask(false, |_| true) {
            Ask::Join(flight) => {
                drop(progress);
                flight.wait()
            }
            Ask::Past if self.left_out != Rule::NoneInsideWindow => {
                drop(progress);
                self.load_past()
            }
            Ask::Start | Ask::Past => {
                let flight = Arc::new(Flight::default());
                progress.start(flight.clone());
                drop(progress);
                self.load(&flight)
            }
        }
    }

    fn look_up(&self) -> Option<u64> {
        Some(self.value.get()).filter(|version| *version > 0)
    }

    fn load(&self, flight: &Arc<Flight>) -> u64 {
        let version = self.row.get();
        {
            let mut progress = self.progress.lock().unwrap();
            let stood = progress.end(|other| Arc::ptr_eq(other, flight));
            if stood || self.left_out == Rule::StoredIfItStands {
                self.value.set(version);
            }
        }
        flight.land(version);
        version
    }

    fn load_past(&self) -> u64 {
        let flight = Arc::new(Flight::default());
        {
            let mut progress = self.progress.lock().unwrap();
            let line = progress.ask_past();
            if let AskPast::Join(flight) = line {
                drop(progress);
                return flight.wait();
            }
            progress.wait_past(flight.clone());
            if matches!(line, AskPast::Wait) {
                drop(progress);
                return flight.wait();
            }
        }
        // Who finds nobody running the line runs it; a task of its own in the cache.
        while let Some(next) = self.next_past() {
            let version = self.row.get();
            next.land(version);
        }
        flight.wait()
    }

    fn next_past(&self) -> Option<Arc<Flight>> {
        self.progress.lock().unwrap().next_past()
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
        assert!(self.progress.lock().unwrap().is_idle(), "something is left in progress");
        self.read();
        let ((_, version), holds) = (self.get_or_load(None), self.row.get());
        self.check(version == holds, || format!("{version} is read at rest, and the source holds {holds}"));
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
    (1, 2, false, Store::UnderTheMap), (1, 2, true, Store::UnderTheMap),
    (2, 1, false, Store::UnderTheMap), (2, 1, true, Store::UnderTheMap),
    (3, 0, false, Store::UnderTheMap), (3, 0, true, Store::UnderTheMap),
];

fn bound((writers, readers, _, store): Scene) -> Option<usize> {
    let bound = if std::env::var_os("GREENROOM_PROOF").is_some() { PROOF_PREEMPTIONS } else { PREEMPTIONS };
    (writers + readers > 2 && store == Store::Apart).then_some(bound)
}

/// Explores a scene to its end. How many executions it has.
fn explore(left_out: Rule, scene: Scene) -> u64 {
    let (writers, readers, is_cached, store) = scene;
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = executions.clone();
    let mut explorer = Builder::new();
    explorer.preemption_bound = bound(scene);
    explorer.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = Key::new(left_out, store, is_cached);
        let spawn = |run: fn(&Key)| {
            let key = key.clone();
            thread::spawn(move || run(&key))
        };
        let threads: Vec<_> = (0..writers).map(|_| spawn(Key::write)).chain((0..readers).map(|_| spawn(Key::read))).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        key.at_rest();
    });
    executions.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn no_execution_of_writers_and_readers_reads_anything_old() {
    for scene in SCENES {
        let began = Instant::now();
        let executions = explore(Rule::Kept, scene);
        let bound = bound(scene).map_or("all of them".to_owned(), |bound| format!("all with at most {bound} preemptions"));
        let (writers, readers, is_cached, store) = scene;
        let value = if is_cached { "in memory" } else { "not in memory" };
        let seconds = began.elapsed().as_secs_f64();
        println!("{writers} writers, {readers} readers, value {value}, store {store:?}: {executions} executions, {bound}, {seconds:.1} s");
        assert!(executions > 10, "hardly anything was explored");
    }
}

#[test]
fn each_rule_left_out_is_found() {
    let rules = [Rule::StoredIfItStands, Rule::NoneInsideWindow, Rule::ContendedStoresNothing, Rule::RemovedBefore];
    for rule in rules {
        let found = find(rule);
        println!("{rule:?} left out: found in {found:?}");
        assert!(found.is_some(), "{rule:?} left out, and nothing old is read");
    }
}

/// The first scene that goes wrong.
fn find(left_out: Rule) -> Option<Scene> {
    SCENES.into_iter().find(|scene| catch_unwind(AssertUnwindSafe(|| explore(left_out, *scene))).is_err())
}
