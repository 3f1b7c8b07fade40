//! Every method of every decorated port is dropped at each of its turns, and so is each task that runs for it: afterwards
//! nothing is left open or stuck, nothing old is read, and everything goes on.

mod methods;

use std::sync::{Arc, Mutex, atomic::Ordering};

use cache_adapter::{Cache, Options};
#[cfg(feature = "faults")]
use cache_core::Fault;
use cache_core::{Clock, Runtime};
use domain::{Error, Repositories};
use methods::{METHODS, Method, Store, Yielding, reads};
use testkit::executor::{Cut, Executor as Turns, RunLength as Ran, yield_once as pause};

/// Without the feature there is no fault to plant.
#[cfg(not(feature = "faults"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
}

/// Who else is there in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Alone,
    /// The caller's reads pass the cache, its writes are guarded all the same.
    Bypassing,
    /// Two read by each method meanwhile, through the cache and past it in turn.
    AmongReaders,
    /// And the answer of the write is lost.
    AnswerLost,
}

/// What was read in a run, and when, counted in reads and acknowledgements.
#[derive(Default)]
struct History {
    now: usize,
    /// When the write was acknowledged.
    acknowledged: Option<usize>,
    reads: Vec<Seen>,
    /// How many reads were told that their load was dropped.
    given_up: usize,
    wrong: Option<String>,
}

struct Seen {
    method: &'static str,
    began: usize,
    ended: usize,
    answer: String,
}

impl History {
    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    /// A method answered `before` until the write and `after` since then: who comes after somebody knew of it sees it.
    fn judge(&self, method: &str, before: &str, after: &str) -> std::result::Result<(), String> {
        if before == after {
            return Ok(());
        }
        let of_method = || self.reads.iter().filter(|seen| seen.method == method);
        let seen_new = of_method()
            .filter(|seen| seen.answer == after)
            .map(|seen| seen.ended)
            .min();
        for seen in of_method().filter(|seen| seen.answer == before) {
            if self.acknowledged.is_some_and(|at| at < seen.began) {
                return Err(format!(
                    "C1: {method} gave {before} after the write was acknowledged"
                ));
            }
            if seen_new.is_some_and(|at| at < seen.began) {
                return Err(format!("C2: {method} gave {before} after {after} was read"));
            }
        }
        Ok(())
    }
}

/// One cache before one store.
#[derive(Clone)]
struct Stage {
    store: Arc<Store>,
    yielding: Arc<Yielding>,
    cache: Cache,
    history: Arc<Mutex<History>>,
}

impl Stage {
    fn new(turns: &mut Turns, fault: Fault) -> Self {
        let store = Arc::new(now(turns, Store::new()).expect("all of it can be stored"));
        let yielding = store.yielding();
        let options = Options::default();
        #[cfg(feature = "faults")]
        let options = Options { fault, ..options };
        #[cfg(not(feature = "faults"))]
        assert_eq!(fault, Fault::None);
        let runtime = Runtime::new(Clock::manual().0, turns.spawner());
        let cache = Cache::with_runtime(yielding.ports(), &options, runtime);
        Self {
            store,
            yielding,
            cache,
            history: Arc::default(),
        }
    }

    async fn read(self, method: &'static Method, ports: Repositories) {
        let began = self.history.lock().unwrap().tick();
        let answer = (method.call)(ports, self.store.clone()).await;
        let mut history = self.history.lock().unwrap();
        let ended = history.tick();
        match answer {
            Ok(answer) => history.reads.push(Seen {
                method: method.name,
                began,
                ended,
                answer,
            }),
            Err(Error::Unavailable { .. }) => history.given_up += 1,
            Err(error) => drop(
                history
                    .wrong
                    .get_or_insert(format!("{}: {error}", method.name)),
            ),
        }
    }

    async fn keep_reading(self, method: &'static Method, from: usize) {
        for _ in 0..from {
            pause().await;
        }
        for _ in 0..3 {
            self.clone()
                .read(method, self.cache.repositories.clone())
                .await;
            self.clone()
                .read(method, self.cache.bypassing.clone())
                .await;
        }
    }

    async fn write(self, method: &'static Method, ports: Repositories) {
        let answer = (method.call)(ports, self.store.clone()).await;
        let mut history = self.history.lock().unwrap();
        let now = history.tick();
        match answer {
            Ok(_) => history.acknowledged = Some(now),
            // The in-memory store has no files but those of its agents.
            Err(Error::Missing { .. }) if method.name == "Agents::adopt" => {}
            Err(error) if error.may_be_applied() => {}
            Err(error) => drop(
                history
                    .wrong
                    .get_or_insert(format!("{}: {error}", method.name)),
            ),
        }
    }

    /// What each read answers through `ports`.
    async fn answers(self, ports: Repositories) -> std::result::Result<Vec<String>, Error> {
        let mut answers = Vec::new();
        for method in reads() {
            answers.push((method.call)(ports.clone(), self.store.clone()).await?);
        }
        Ok(answers)
    }
}

/// What a future gives when everything has run to its end.
fn now<T: Send + 'static>(
    turns: &mut Turns,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let answer = Arc::new(Mutex::new(None));
    let told = answer.clone();
    turns.run(async move { *told.lock().unwrap() = Some(future.await) });
    let answer = answer.lock().unwrap().take();
    answer.expect("it comes to its end")
}

/// Runs a method in a scene and cuts it. What it was, and what went wrong.
fn run(
    method: &'static Method,
    scene: Scene,
    cut: Cut,
    fault: Fault,
) -> std::result::Result<Ran, String> {
    let mut turns = Turns::default();
    let stage = Stage::new(&mut turns, fault);
    let answers = |turns: &mut Turns, ports: &Repositories| {
        now(turns, stage.clone().answers(ports.clone())).map_err(|error| error.to_string())
    };
    let before = answers(&mut turns, &stage.store.bare)?;
    if method.is_write {
        // Everything is in memory before a write, and nothing before a read.
        answers(&mut turns, &stage.cache.repositories)?;
    }
    stage
        .yielding
        .loses
        .store(scene == Scene::AnswerLost, Ordering::SeqCst);
    turns.mark();
    let ports = if scene == Scene::Bypassing {
        &stage.cache.bypassing
    } else {
        &stage.cache.repositories
    }
    .clone();
    let caller = if method.is_write {
        turns.add(stage.clone().write(method, ports))
    } else {
        turns.add(stage.clone().read(method, ports))
    };
    if matches!(scene, Scene::AmongReaders | Scene::AnswerLost) {
        for (at, method) in reads().enumerate() {
            turns.add(stage.clone().keep_reading(method, at % 2));
            turns.add(stage.clone().keep_reading(method, 2 + at % 2));
        }
    }
    let ran = turns.run_cut(caller, cut);
    stage.yielding.loses.store(false, Ordering::SeqCst);
    let stuck = turns.unfinished();
    if stuck > 0 {
        return Err(format!("{stuck} tasks are stuck"));
    }
    let after = answers(&mut turns, &stage.store.bare)?;
    {
        let mut history = stage.history.lock().unwrap();
        if let Some(wrong) = history.wrong.take() {
            return Err(wrong);
        }
        if history.given_up > 0 && !matches!(cut, Cut::Spawned { .. }) {
            return Err("a load was given up, and no task was dropped".to_owned());
        }
        reads()
            .zip(&before)
            .zip(&after)
            .try_for_each(|((method, before), after)| history.judge(method.name, before, after))?;
    }
    let manager = &stage.cache.manager;
    manager.validate()?;
    if !manager.is_quiet() {
        return Err("something is left in progress".to_owned());
    }
    for ports in [
        &stage.cache.bypassing,
        &stage.cache.repositories,
        &stage.cache.repositories,
    ] {
        for ((method, read), holds) in reads().zip(answers(&mut turns, ports)?).zip(&after) {
            if read != *holds {
                return Err(format!(
                    "at rest {} gave {read}, and the store holds {holds}",
                    method.name
                ));
            }
        }
    }
    Ok(ran)
}

/// Every way to cut a run that was `ran` when it was not cut; among readers, of the tasks only the caller's first.
fn cuts(ran: &Ran, scene: Scene) -> impl Iterator<Item = Cut> + '_ {
    let callers = (0..ran.rounds).map(|round| Cut::Caller { round });
    let tasks = if matches!(scene, Scene::Alone | Scene::Bypassing) {
        usize::MAX
    } else {
        1
    };
    let of =
        |(task, polls): (usize, &usize)| (0..*polls).map(move |polls| Cut::Spawned { task, polls });
    callers.chain(ran.spawned.iter().enumerate().take(tasks).flat_map(of))
}

/// Runs a method in every scene with every cut. How many runs there were; the first that went wrong.
fn run_all(method: &'static Method, fault: Fault) -> std::result::Result<usize, String> {
    let mut runs = 0;
    for scene in [
        Scene::Alone,
        Scene::Bypassing,
        Scene::AmongReaders,
        Scene::AnswerLost,
    ] {
        if scene == Scene::AnswerLost && !method.is_write {
            continue;
        }
        let wrong = |cut: Cut, what: String| format!("{}, {scene:?}, {cut:?}: {what}", method.name);
        let ran =
            run(method, scene, Cut::Nowhere, fault).map_err(|what| wrong(Cut::Nowhere, what))?;
        assert!(
            ran.polls >= 2,
            "{} took {} polls: nothing is dropped between them",
            method.name,
            ran.polls
        );
        for cut in cuts(&ran, scene) {
            run(method, scene, cut, fault).map_err(|what| wrong(cut, what))?;
            runs += 1;
        }
        if scene == Scene::Alone {
            let tasks: usize = ran.spawned.iter().sum();
            println!(
                "{}: {} polls in {} rounds; {} tasks: {tasks} polls",
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
fn whatever_is_dropped_at_whichever_poll_nothing_is_left_open_stuck_or_old() {
    let mut runs = 0;
    for method in METHODS {
        runs += run_all(method, Fault::None).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    println!(
        "{} methods, {runs} runs, each dropped at another poll",
        METHODS.len()
    );
}

#[test]
fn every_method_of_every_port_is_dropped() {
    let ports = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../domain/src/ports.rs"
    ))
    .unwrap();
    let (mut port, mut methods) = ("", Vec::new());
    for line in ports.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            port = rest.split(':').next().unwrap();
        }
        if let Some(method) = line
            .strip_prefix("async fn ")
            .and_then(|rest| rest.split('(').next())
        {
            methods.push(format!("{port}::{method}"));
        }
    }
    let mut dropped: Vec<_> = METHODS
        .iter()
        .map(|method| method.name.to_owned())
        .collect();
    methods.sort();
    dropped.sort();
    assert_eq!(dropped, methods);
}

#[cfg(feature = "faults")]
#[test]
fn windows_that_go_away_with_their_caller_are_found() {
    for name in [
        "Rooms::update",
        "Agents::update",
        "AgentConfigs::save",
        "ReadPositions::mark",
    ] {
        let method = METHODS.iter().find(|method| method.name == name).unwrap();
        let wrong = run_all(method, Fault::CallerOwnsGuard).expect_err("the fault is found");
        assert!(wrong.contains("Caller {"), "{wrong}");
    }
}
