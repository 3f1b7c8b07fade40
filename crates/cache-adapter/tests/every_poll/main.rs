//! Cancellation at every await point. The tests drop the call of each port method at each of its
//! polls, and likewise each task that the call spawns. Afterwards no window is open, no task is
//! stuck, no read is stale, and the cache still serves reads.

mod methods;

use std::{
    result::Result,
    sync::{Arc, Mutex, atomic::Ordering},
};

use cache_adapter::{Cache, Options};
#[cfg(feature = "faults")]
use cache_core::Fault;
use cache_core::{Clock, Runtime};
use contract::{Access, decorate::decorate};
use domain::{Error, Repositories};
use methods::{MethodCall, SampleStore, Yielding, methods, reads};
use testkit::executor::{Cut, Executor, RunLength, yield_once};

/// The only fault that exists without the feature `faults`.
#[cfg(not(feature = "faults"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
}

/// The circumstances of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    Alone,
    /// The caller uses the bypassing ports. Its writes are guarded nevertheless.
    Bypassing,
    /// Two tasks call each read during the run, alternately through the cache and bypassing it.
    AmongReaders,
    /// Like `AmongReaders`, and the store reports an unknown outcome for the write.
    OutcomeLost,
}

/// The reads and the acknowledgement of one run. A time is the number of events before it.
#[derive(Default)]
struct History {
    now: usize,
    /// The time at which the write was acknowledged.
    acknowledged: Option<usize>,
    reads: Vec<ReadRecord>,
    /// The number of reads that failed because their load was dropped.
    dropped_loads: usize,
    unexpected: Option<String>,
}

struct ReadRecord {
    method: &'static str,
    began: usize,
    ended: usize,
    result: String,
}

impl History {
    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    /// Checks the reads of a method that returns `before` if it precedes the write and `after` if
    /// it follows the write.
    fn judge(&self, method: &str, before: &str, after: &str) -> Result<(), String> {
        if before == after {
            return Ok(());
        }
        let records = || self.reads.iter().filter(|read| read.method == method);
        let new_value_read = records()
            .filter(|read| read.result == after)
            .map(|read| read.ended)
            .min();
        for read in records().filter(|read| read.result == before) {
            if self.acknowledged.is_some_and(|time| time < read.began) {
                return Err(format!(
                    "C1: {method} returned {before} after the write was acknowledged"
                ));
            }
            if new_value_read.is_some_and(|time| time < read.began) {
                return Err(format!(
                    "C2: {method} returned {before} after another read returned {after}"
                ));
            }
        }
        Ok(())
    }

    fn fail(&mut self, method: MethodCall, error: &Error) {
        let failure = || format!("{}: {error}", method.name);
        self.unexpected.get_or_insert_with(failure);
    }
}

/// A cache in front of a store whose methods yield, and the history of the calls.
#[derive(Clone)]
struct CacheUnderTest {
    store: Arc<SampleStore>,
    yielding: Arc<Yielding>,
    cache: Cache,
    history: Arc<Mutex<History>>,
}

impl CacheUnderTest {
    fn new(turns: &mut Executor, fault: Fault) -> Self {
        let store = finish(turns, SampleStore::create()).expect("the sample data is valid");
        let yielding = Arc::new(Yielding::default());
        let ports = decorate(store.ports.clone(), yielding.clone());
        let options = Options::default();
        #[cfg(feature = "faults")]
        let options = Options { fault, ..options };
        #[cfg(not(feature = "faults"))]
        assert_eq!(fault, Fault::None);
        let runtime = Runtime::new(Clock::manual().0, turns.spawner());
        Self {
            store: Arc::new(store),
            yielding,
            cache: Cache::with_runtime(ports, &options, runtime),
            history: Arc::default(),
        }
    }

    async fn read(self, method: MethodCall, ports: Repositories) {
        let began = self.history.lock().unwrap().tick();
        let result = (method.call)(ports, self.store.clone()).await;
        let mut history = self.history.lock().unwrap();
        let ended = history.tick();
        match result {
            Ok(result) => history.reads.push(ReadRecord {
                method: method.name,
                began,
                ended,
                result,
            }),
            Err(Error::Unavailable { .. }) => history.dropped_loads += 1,
            Err(error) => history.fail(method, &error),
        }
    }

    async fn keep_reading(self, method: MethodCall, delay: usize) {
        for _ in 0..delay {
            yield_once().await;
        }
        for _ in 0..3 {
            let cached = self.cache.repositories.clone();
            self.clone().read(method, cached).await;
            let bypassing = self.cache.bypassing.clone();
            self.clone().read(method, bypassing).await;
        }
    }

    async fn write(self, method: MethodCall, ports: Repositories) {
        let result = (method.call)(ports, self.store.clone()).await;
        let mut history = self.history.lock().unwrap();
        let now = history.tick();
        match result {
            Ok(_) => history.acknowledged = Some(now),
            // The in-memory store has no files that could be adopted.
            Err(Error::Missing { .. }) if method.name == "AgentFiles::adopt" => {}
            Err(error) if error.may_be_applied() => {}
            Err(error) => history.fail(method, &error),
        }
    }

    /// Calls every read of `ports` and returns the results in printed form.
    async fn read_all(self, ports: Repositories) -> Result<Vec<String>, Error> {
        let mut results = Vec::new();
        for method in reads() {
            results.push((method.call)(ports.clone(), self.store.clone()).await?);
        }
        Ok(results)
    }

    /// Checks that no window, load or write is left in progress.
    fn ensure_quiet(&self) -> Result<(), String> {
        let manager = &self.cache.manager;
        manager.validate().map_err(|wrong| wrong.to_string())?;
        if manager.is_quiet() {
            Ok(())
        } else {
            Err("something is left in progress".to_owned())
        }
    }
}

/// Runs a future and every task to the end, and returns the future's output.
fn finish<T: Send + 'static>(
    turns: &mut Executor,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let output = Arc::new(Mutex::new(None));
    let slot = output.clone();
    turns.run(async move { *slot.lock().unwrap() = Some(future.await) });
    let output = output.lock().unwrap().take();
    output.expect("the future ends")
}

/// Runs a method in a scenario and cancels it at `cut`. Checks every property that must hold
/// afterwards, and returns the length of the run.
fn run(
    method: MethodCall,
    scenario: Scenario,
    cut: Cut,
    fault: Fault,
) -> Result<RunLength, String> {
    let mut turns = Executor::default();
    let subject = CacheUnderTest::new(&mut turns, fault);
    let read_all = |turns: &mut Executor, ports: &Repositories| {
        finish(turns, subject.clone().read_all(ports.clone())).map_err(|error| error.to_string())
    };
    let before = read_all(&mut turns, &subject.store.ports)?;
    let is_write = method.access == Access::Write;
    if is_write {
        // Before a write everything is cached, and before a read nothing is: the harder case for
        // each.
        read_all(&mut turns, &subject.cache.repositories)?;
    }
    let loses_outcomes = &subject.yielding.loses_outcomes;
    loses_outcomes.store(scenario == Scenario::OutcomeLost, Ordering::SeqCst);
    turns.mark();
    let ports = match scenario {
        Scenario::Bypassing => subject.cache.bypassing.clone(),
        Scenario::Alone | Scenario::AmongReaders | Scenario::OutcomeLost => {
            subject.cache.repositories.clone()
        }
    };
    let caller = if is_write {
        turns.add(subject.clone().write(method, ports))
    } else {
        turns.add(subject.clone().read(method, ports))
    };
    if matches!(scenario, Scenario::AmongReaders | Scenario::OutcomeLost) {
        for (index, read) in reads().enumerate() {
            turns.add(subject.clone().keep_reading(read, index % 2));
            turns.add(subject.clone().keep_reading(read, 2 + index % 2));
        }
    }
    let ran = turns.run_cut(caller, cut);
    loses_outcomes.store(false, Ordering::SeqCst);
    let stuck = turns.unfinished();
    if stuck > 0 {
        return Err(format!("{stuck} tasks are stuck"));
    }

    let after = read_all(&mut turns, &subject.store.ports)?;
    if !is_write && before != after {
        return Err("the table of port methods marks it as a read, but it wrote".to_owned());
    }
    {
        let mut history = subject.history.lock().unwrap();
        if let Some(failure) = history.unexpected.take() {
            return Err(failure);
        }
        if history.dropped_loads > 0 && !matches!(cut, Cut::Spawned { .. }) {
            return Err("a load was dropped although no task was".to_owned());
        }
        for ((read, before), after) in reads().zip(&before).zip(&after) {
            history.judge(read.name, before, after)?;
        }
    }
    subject.ensure_quiet()?;
    // The cached ports are read twice: the first time loads, the second time hits.
    for ports in [
        &subject.cache.bypassing,
        &subject.cache.repositories,
        &subject.cache.repositories,
    ] {
        let results = read_all(&mut turns, ports)?;
        for ((read, result), stored) in reads().zip(results).zip(&after) {
            if result != *stored {
                return Err(format!(
                    "at rest {} returned {result}, but the store holds {stored}",
                    read.name
                ));
            }
        }
    }
    Ok(ran)
}

/// Returns all cuts to try. A cut is the point at which a task is dropped. `ran` is the length of
/// the same run without a cut.
///
/// In scenarios with concurrent readers, only the first spawned task is cut. It belongs to the
/// caller, and the later tasks belong to readers.
fn cuts(ran: &RunLength, scenario: Scenario) -> impl Iterator<Item = Cut> + '_ {
    let caller_cuts = (0..ran.rounds).map(|round| Cut::Caller { round });
    let tasks = match scenario {
        Scenario::Alone | Scenario::Bypassing => usize::MAX,
        Scenario::AmongReaders | Scenario::OutcomeLost => 1,
    };
    let task_cuts =
        |(task, polls): (usize, &usize)| (0..*polls).map(move |polls| Cut::Spawned { task, polls });
    let spawned = ran.spawned.iter().enumerate().take(tasks);
    caller_cuts.chain(spawned.flat_map(task_cuts))
}

/// Runs a method in every scenario with every cut. Returns the number of runs, or the first
/// failure.
fn run_all(method: MethodCall, fault: Fault) -> Result<usize, String> {
    let mut runs = 0;
    for scenario in [
        Scenario::Alone,
        Scenario::Bypassing,
        Scenario::AmongReaders,
        Scenario::OutcomeLost,
    ] {
        if scenario == Scenario::OutcomeLost && method.access != Access::Write {
            continue;
        }
        let run_with = |cut: Cut| {
            run(method, scenario, cut, fault)
                .map_err(|failure| format!("{}, {scenario:?}, {cut:?}: {failure}", method.name))
        };
        let ran = run_with(Cut::Nowhere)?;
        assert!(
            ran.polls >= 2,
            "{} took {} polls: there is no point at which it can be dropped",
            method.name,
            ran.polls
        );
        for cut in cuts(&ran, scenario) {
            run_with(cut)?;
            runs += 1;
        }
        if scenario == Scenario::Alone {
            let task_polls: usize = ran.spawned.iter().sum();
            println!(
                "{}: {} polls in {} rounds; {} tasks with {task_polls} polls",
                method.name,
                ran.polls,
                ran.rounds,
                ran.spawned.len()
            );
        }
    }
    Ok(runs)
}

#[test]
fn a_drop_at_any_poll_leaves_nothing_open_stuck_or_stale() {
    let mut runs = 0;
    for method in methods() {
        runs += run_all(method, Fault::None).unwrap_or_else(|failure| panic!("{failure}"));
    }
    println!(
        "{} methods, {runs} runs, each dropped at another poll",
        methods().count()
    );
}

#[cfg(feature = "faults")]
#[test]
fn windows_that_close_when_their_caller_is_dropped_are_found() {
    for name in [
        "Rooms::update",
        "Agents::update",
        "AgentConfigs::save",
        "ReadPositions::mark",
    ] {
        let method = methods().find(|method| method.name == name).unwrap();
        let failure = run_all(method, Fault::CallerOwnsGuard).expect_err("the fault is found");
        assert!(failure.contains("Caller {"), "{failure}");
    }
}
