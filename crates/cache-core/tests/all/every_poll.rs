//! Every public async function is dropped at each of its turns, and so is each task that runs for it: afterwards nothing is
//! left open or stuck, nothing old is read, and everything goes on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Clock, Fault, LoadError, Manager, ManualClock, Policy, Read, Runtime, SettleFn, Stores, TailRead, TailRegion, WriteError, WriteGuard,
    Written, log::Fold,
};

use crate::{
    support::{Down, Numbers, TTL},
    turns::{Cut, Ran, Task, Turns, pause},
};

/// What is read and written in each run: three rows, three of another region, three logs.
const KEYS: [u64; 3] = [1, 2, 3];
/// Who reads meanwhile: a key, and after how many turns it begins.
const READERS: [(u64, usize); 4] = [(1, 0), (1, 1), (1, 2), (2, 3)];
/// Rows of the other region and logs have names of their own in the source.
const OTHERS: u64 = 10;
const LOGS: u64 = 20;
/// A row that only settling writes.
const ASIDE: u64 = 9;
/// Loads, and writes, that may run at a time.
const PERMITS: usize = 2;

/// The last places of a log.
#[derive(Clone)]
struct Places(u64);

impl Fold for Places {
    type Entry = u64;

    fn apply(&mut self, place: u64, _: &u64) {
        self.0 = place;
    }
}

/// Rows that count their commits, and logs that count their entries. It gives others a turn at every statement.
#[derive(Default)]
struct Source {
    rows: Mutex<BTreeMap<u64, u64>>,
    /// The newest version of each row that was acknowledged or read.
    known: Mutex<BTreeMap<u64, u64>>,
    /// Commits after settling had told that none would come.
    sealed: Mutex<Option<usize>>,
    commits: AtomicUsize,
    /// How often a load or a write was given up, because its task was dropped.
    given_up: AtomicUsize,
    /// The first thing that went wrong.
    wrong: Mutex<Option<String>>,
}

impl Source {
    fn version(&self, row: u64) -> u64 {
        self.rows.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    async fn read(&self, row: u64) -> u64 {
        pause().await;
        let version = self.version(row);
        pause().await;
        version
    }

    async fn commit(&self, row: u64) -> u64 {
        // Its beginning, a statement, its commit.
        for _ in 0..3 {
            pause().await;
        }
        let version = self.version(row) + 1;
        self.rows.lock().unwrap().insert(row, version);
        self.commits.fetch_add(1, Ordering::SeqCst);
        pause().await;
        version
    }

    fn known(&self, row: u64) -> u64 {
        self.known.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    /// Whoever reads later sees at least this version.
    fn knows(&self, row: u64, version: u64) {
        let mut known = self.known.lock().unwrap();
        let known = known.entry(row).or_insert(1);
        *known = version.max(*known);
    }

    /// Returns when as many are here as there are permits.
    async fn meet(&self, here: Arc<AtomicUsize>) -> u64 {
        here.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            if here.load(Ordering::SeqCst) == PERMITS {
                return 0;
            }
            pause().await;
        }
        self.is_wrong("a permit is lost".to_owned());
        0
    }

    fn gives_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap().get_or_insert(what);
    }
}

/// How a write ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stores,
    StoresNothing,
    /// It commits, and panics when it is to name what.
    CannotTell,
    IsRefused,
    /// It commits, and then its answer is lost.
    IsLost,
}

/// One cache before one source.
#[derive(Clone)]
struct Stage {
    manager: Manager,
    numbers: Numbers,
    others: Numbers,
    logs: TailRegion<u64, Places>,
    hand: ManualClock,
    source: Arc<Source>,
}

impl Stage {
    fn new(turns: &Turns, fault: Fault) -> Self {
        let (clock, hand) = Clock::manual();
        let settle: SettleFn = Arc::new(|| {
            Box::pin(async {
                pause().await;
                Ok(())
            })
        });
        let builder = Manager::builder(Runtime::new(clock, turns.spawner())).settle(settle).permits(PERMITS, PERMITS);
        #[cfg(feature = "faults")]
        let builder = builder.fault(fault);
        #[cfg(not(feature = "faults"))]
        assert_eq!(fault, Fault::None);
        let manager = builder.build();
        let policy = Policy::new(TTL, 10_000);
        let (numbers, others) = (manager.region("numbers", policy.clone()), manager.region("others", policy.clone()));
        let logs = manager.tail_region("logs", policy, 1);
        Self { manager, numbers, others, logs, hand, source: Arc::default() }
    }

    /// A read that began at `floor` has ended.
    fn judge(&self, row: u64, floor: u64, read: Result<u64, LoadError>) {
        match read {
            Ok(version) if version < floor => self.source.is_wrong(format!("row {row} gave {version} after {floor}")),
            Ok(version) => self.source.knows(row, version),
            Err(LoadError::GivenUp) => self.source.gives_up(),
            Err(error) => self.source.is_wrong(format!("row {row}: {error}")),
        }
    }

    async fn read_in(self, region: Numbers, key: u64, row: u64) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(row), self.source.clone());
        let read = region.get_or_load(key, move || async move { Ok::<_, Down>(Some(source.read(row).await)) }).await;
        let read = read.map(|Read { value, .. }| value.expect("each row is there"));
        self.judge(row, floor, read.clone());
        read
    }

    async fn read(self, key: u64) -> Result<u64, LoadError> {
        let region = self.numbers.clone();
        self.read_in(region, key, key).await
    }

    async fn read_other(self, key: u64) -> Result<u64, LoadError> {
        let region = self.others.clone();
        self.read_in(region, key, OTHERS + key).await
    }

    async fn bypass(self, key: u64) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(key), self.source.clone());
        let read = self.numbers.bypass(move || async move { Ok::<_, Down>(Some(source.read(key).await)) }).await;
        let read = read.map(|Read { value, .. }| value.expect("each row is there"));
        self.judge(key, floor, read.clone());
        read
    }

    async fn read_many(self) {
        let (floors, source) = (KEYS.map(|key| self.source.known(key)), self.source.clone());
        let load = |keys: Vec<u64>| async move {
            let mut rows = Vec::new();
            for key in keys {
                rows.push((key, source.read(key).await));
            }
            Ok::<_, Down>(rows)
        };
        match self.numbers.get_or_load_many(&KEYS, load).await {
            Ok(reads) => {
                for ((key, floor), read) in KEYS.into_iter().zip(floors).zip(reads) {
                    self.judge(key, floor, Ok(read.value.expect("each row is there")));
                }
            }
            Err(error) => self.judge(0, 0, Err(error)),
        }
    }

    /// What a reader of the log makes of an answer: what it does not find it reads from the source.
    async fn follow(&self, key: u64, floor: u64, read: TailRead<u64>) -> u64 {
        let head = match read {
            TailRead::Found(Read { value, .. }) => value.expect("the head"),
            TailRead::Absent(_) => panic!("each log is there"),
            TailRead::Elsewhere => {
                let head = self.source.read(LOGS + key).await;
                self.logs.saw(&key, head);
                head
            }
        };
        self.judge(LOGS + key, floor, Ok(head));
        head
    }

    async fn read_log(self, key: u64) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(LOGS + key), self.source.clone());
        let load = move || async move {
            let head = source.read(LOGS + key).await;
            Ok::<_, Down>(Some((head, Places(head))))
        };
        match self.logs.get_or_fill(key, load, |places| Some(places.0)).await {
            Ok(read) => Ok(self.follow(key, floor, read).await),
            Err(error) => {
                self.judge(LOGS + key, floor, Err(error.clone()));
                Err(error)
            }
        }
    }

    async fn read_logs(self) {
        let (floors, source) = (KEYS.map(|key| self.source.known(LOGS + key)), self.source.clone());
        let load = |keys: Vec<u64>| async move {
            let mut rows = Vec::new();
            for key in keys {
                let head = source.read(LOGS + key).await;
                rows.push((key, head, Places(head)));
            }
            Ok::<_, Down>(rows)
        };
        match self.logs.get_or_fill_many(&KEYS, load, |places| Some(places.0)).await {
            Ok(reads) => {
                for ((key, floor), read) in KEYS.into_iter().zip(floors).zip(reads) {
                    self.follow(key, floor, read).await;
                }
            }
            Err(error) => self.judge(LOGS, 0, Err(error)),
        }
    }

    async fn run(&self, guard: WriteGuard, row: u64, end: End, store: impl FnOnce(u64, &mut Stores<'_>) + Send + 'static) {
        let source = self.source.clone();
        let write = async move {
            match end {
                End::Stores | End::StoresNothing | End::CannotTell => Written::Committed(source.commit(row).await),
                End::IsRefused => {
                    pause().await;
                    Written::NotApplied(Down)
                }
                End::IsLost => {
                    source.commit(row).await;
                    Written::Unknown(Down)
                }
            }
        };
        let store = move |version: &u64, to: &mut Stores<'_>| match end {
            End::Stores => store(*version, to),
            // A panic that prints nothing.
            End::CannotTell => std::panic::resume_unwind(Box::new("planted")),
            End::StoresNothing | End::IsRefused | End::IsLost => {}
        };
        match (guard.run(write, store).await, end) {
            (Ok(version), End::Stores | End::StoresNothing | End::CannotTell) => self.source.knows(row, version),
            (Err(WriteError::Store(Down)), End::IsRefused | End::IsLost) => {}
            (Err(WriteError::GivenUp), _) => self.source.gives_up(),
            (other, _) => self.source.is_wrong(format!("a write of row {row} answered {other:?}")),
        }
    }

    async fn write(self, key: u64, end: End) {
        let region = self.numbers.clone();
        self.run(self.manager.guard().key(&region, key), key, end, move |version, to| to.put(&region, key, version)).await;
    }

    /// A write of a row that also makes a key, a region and an absence of others stale.
    async fn write_widely(self, end: End) {
        let region = self.numbers.clone();
        let guard = self.manager.guard().key(&region, 1).key(&region, 2).region(&self.others).creating(&self.others);
        self.run(guard, OTHERS + 1, end, |_, _| {}).await;
    }

    async fn append(self, key: u64, end: End) {
        let region = self.logs.clone();
        let guard = self.manager.guard().append(&region, key);
        self.run(guard, LOGS + key, end, move |place, to| to.append(&region, place, place)).await;
    }

    /// Reads through the cache and past it in turn, as long as a run takes.
    async fn keep_reading(self, key: u64, from: usize) {
        for _ in 0..from {
            pause().await;
        }
        for _ in 0..4 {
            let _ = self.clone().read(key).await;
            let _ = self.clone().bypass(key).await;
            let _ = self.clone().read_other(key).await;
            let _ = self.clone().read_log(key).await;
        }
    }

    /// When nothing runs, every read gives what the source holds, and every permit is free.
    async fn at_rest(self) {
        for key in KEYS {
            let reads = [self.clone().bypass(key).await, self.clone().read(key).await, self.clone().read(key).await];
            let others = [self.clone().read_other(key).await, self.clone().read_other(key).await];
            let logs = [self.clone().read_log(key).await, self.clone().read_log(key).await];
            let all = reads.into_iter().map(|read| (key, read));
            let all = all.chain(others.map(|read| (OTHERS + key, read))).chain(logs.map(|read| (LOGS + key, read)));
            for (row, read) in all {
                if !matches!(read, Ok(version) if version == self.source.version(row)) {
                    self.source.is_wrong(format!("at rest row {row} gave {read:?}, and holds {}", self.source.version(row)));
                }
            }
            for (what, hit) in
                [("row", self.numbers.get(&key)), ("log", self.logs.look_up(&key, |places| Some(places.0)).and_then(|read| read.value))]
            {
                if hit.is_none() {
                    self.source.is_wrong(format!("at rest {what} {key} is not in memory after it was read"));
                }
            }
        }
    }

    /// As many loads and writes as there are permits for, each of which ends when all of its kind have begun.
    fn all_at_once(&self) -> Vec<Task> {
        let (loads, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pairs = (100..).take(PERMITS).map(|key| {
            let (stage, loads, writes) = (self.clone(), loads.clone(), writes.clone());
            let load = task(async move {
                let load = || async move { Ok::<_, Down>(Some(stage.source.meet(loads).await)) };
                stage.numbers.get_or_load(key, load).await.expect("the load succeeds");
            });
            let stage = self.clone();
            let write = task(async move {
                let write = async move { Written::<_, Down>::Committed(stage.source.meet(writes).await) };
                stage.manager.guard().key(&stage.numbers, key).run(write, |_, _| {}).await.expect("the write succeeds");
            });
            [load, write]
        });
        pairs.flatten().collect()
    }
}

/// A function of the cache, what runs beside it, and how it is called.
struct Case {
    name: &'static str,
    /// What was done before, once everything that is read was.
    before: fn(&Stage),
    /// What runs beside it, and has begun.
    beside: fn(&Stage) -> Vec<Task>,
    call: fn(Stage) -> Task,
}

fn nothing_before(_: &Stage) {}

fn nothing_beside(_: &Stage) -> Vec<Task> {
    Vec::new()
}

fn task(future: impl Future + Send + 'static) -> Task {
    Box::pin(async move {
        future.await;
    })
}

/// Row 1 and log 1 are in memory when a case begins, the others are not.
#[rustfmt::skip] // One case a line.
fn cases() -> Vec<Case> {
    let case = |name, beside, call| Case { name, before: nothing_before, beside, call };
    vec![
        case("Region::get_or_load", nothing_beside, |s| task(s.read(2))),
        case("Region::get_or_load, joining", |s| vec![task(s.clone().read(2))], |s| task(s.read(2))),
        case("Region::get_or_load, in a window", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.read(1))),
        case("Region::get_or_load, in a line", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(1))], |s| task(s.read(1))),
        case("Region::get_or_load, without a permit", |s| vec![task(s.clone().read(3)), task(s.clone().read_log(3))], |s| task(s.read(2))),
        case("Region::get_or_load_many", nothing_beside, |s| task(s.read_many())),
        case("Region::get_or_load_many, in windows", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(2))], |s| task(s.read_many())),
        case("Region::bypass", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.bypass(1))),
        case("TailRegion::get_or_fill", |s| vec![task(s.clone().append(2, End::Stores))], |s| task(s.read_log(2))),
        case("TailRegion::get_or_fill, in a window", |s| vec![task(s.clone().append(1, End::IsLost))], |s| task(s.read_log(2))),
        case("TailRegion::get_or_fill_many", |s| vec![task(s.clone().append(3, End::Stores))], |s| task(s.read_logs())),
        case("WriteGuard::run, storing", nothing_beside, |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, storing nothing", |s| vec![task(s.clone().read(2))], |s| task(s.write(2, End::StoresNothing))),
        case("WriteGuard::run, contended", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, without a permit", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().write(2, End::Stores))], |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, refused", nothing_beside, |s| task(s.write(1, End::IsRefused))),
        case("WriteGuard::run, of unknown outcome", nothing_beside, |s| task(s.write(1, End::IsLost))),
        case("WriteGuard::run, over regions and creates", |s| vec![task(s.clone().read_other(2))], |s| task(s.write_widely(End::StoresNothing))),
        case("WriteGuard::run, over regions, of unknown outcome", |s| vec![task(s.clone().read_other(1))], |s| task(s.write_widely(End::IsLost))),
        case("WriteGuard::run, appending", nothing_beside, |s| task(s.append(1, End::Stores))),
        case("WriteGuard::run, appending during a fill", |s| vec![task(s.clone().read_log(2))], |s| task(s.append(2, End::Stores))),
        case("WriteGuard::run, appending what it cannot name", nothing_beside, |s| task(s.append(1, End::CannotTell))),
        case("WriteGuard::run, appending, of unknown outcome", nothing_beside, |s| task(s.append(1, End::IsLost))),
        case("Manager::settle", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().write(2, End::IsLost))], |s| task(async move {
            s.manager.settle().await.expect("it settles");
            *s.source.sealed.lock().unwrap() = Some(s.source.commits.load(Ordering::SeqCst));
        })),
        Case {
            name: "Manager::cleanup",
            before: |s| {
                (1_000..6_000).for_each(|key| assert!(s.numbers.insert(key, 1)));
                s.hand.advance(TTL);
            },
            beside: nothing_beside,
            call: |s| task(async move { s.manager.cleanup().await }),
        },
        case("Manager::shutdown", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().read(2))], |s| task(async move {
            assert!(s.manager.shutdown(Duration::from_secs(1)).await, "all has ended");
        })),
        case("Listener::rung", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(async move { s.numbers.listen(1).rung().await })),
        case("Clock::sleep", |s| vec![task(advance(s.hand.clone()))], |s| task(async move { s.manager.clock().sleep(Duration::from_secs(1)).await })),
    ]
}

async fn advance(hand: ManualClock) {
    for _ in 0..4 {
        pause().await;
    }
    hand.advance(Duration::from_secs(1));
}

/// Runs a case, alone or among readers, and cuts it. What it was, and what went wrong.
fn run(case: &Case, cut: Cut, among_readers: bool, fault: Fault) -> Result<Ran, String> {
    let mut turns = Turns::default();
    let stage = Stage::new(&turns, fault);
    turns.run(task(stage.clone().read(1)));
    turns.run(task(stage.clone().read_log(1)));
    (case.before)(&stage);
    turns.mark();
    for beside in (case.beside)(&stage) {
        turns.add(beside);
    }
    // What runs beside it takes its permits and opens its windows.
    turns.round();
    turns.round();
    let caller = turns.add((case.call)(stage.clone()));
    if among_readers {
        for (key, from) in READERS {
            turns.add(stage.clone().keep_reading(key, from));
        }
    }
    let ran = turns.run_cut(caller, cut);
    if stage.source.sealed.lock().unwrap().is_some_and(|sealed| sealed != stage.source.commits.load(Ordering::SeqCst)) {
        return Err("a write landed after settling had returned".to_owned());
    }
    if !matches!(cut, Cut::Spawned { .. }) && stage.source.given_up.load(Ordering::SeqCst) > 0 {
        return Err("something was given up, and no task was dropped".to_owned());
    }
    let unknown = || stage.manager.stats().iter().any(|(.., stats)| stats.unknown_windows > 0);
    if matches!(cut, Cut::Spawned { .. }) && unknown() {
        // It was the task that settles: the next lost write begins another.
        turns.run(stage.clone().write(ASIDE, End::IsLost));
    }
    let at_rest = || {
        let stuck = turns.unfinished();
        if stuck > 0 {
            return Err(format!("{stuck} tasks are stuck"));
        }
        stage.manager.validate()?;
        if !stage.manager.is_quiet() || unknown() {
            return Err("something is left in progress".to_owned());
        }
        if KEYS.iter().any(|key| stage.numbers.listeners(key) > 0) {
            return Err("a listener is left".to_owned());
        }
        Ok(())
    };
    at_rest()?;
    turns.run(stage.clone().at_rest());
    for one in stage.all_at_once() {
        turns.add(one);
    }
    turns.settle();
    stage.source.wrong.lock().unwrap().take().map_or(Ok(ran), Err)
}

/// Every way to cut a run that was `ran` when it was not cut.
fn cuts(ran: &Ran) -> impl Iterator<Item = Cut> + '_ {
    let callers = (0..ran.rounds).map(|round| Cut::Caller { round });
    let of = |(task, polls): (usize, &usize)| (0..*polls).map(move |polls| Cut::Spawned { task, polls });
    callers.chain(ran.spawned.iter().enumerate().flat_map(of))
}

/// Runs the cases with every cut. How many runs there were; the first that went wrong.
fn run_all(cases: &[Case], fault: Fault) -> Result<usize, String> {
    let mut runs = 0;
    for case in cases {
        for among_readers in [false, true] {
            let wrong = |cut: Cut, what: String| format!("{}, readers: {among_readers}, {cut:?}: {what}", case.name);
            let ran = run(case, Cut::Nowhere, among_readers, fault).map_err(|what| wrong(Cut::Nowhere, what))?;
            assert!(ran.polls >= 2, "{} took {} polls: nothing is dropped between them", case.name, ran.polls);
            for cut in cuts(&ran) {
                run(case, cut, among_readers, fault).map_err(|what| wrong(cut, what))?;
                runs += 1;
            }
            if !among_readers {
                let tasks: usize = ran.spawned.iter().sum();
                println!("{}: {} polls in {} rounds; {} tasks: {tasks} polls", case.name, ran.polls, ran.rounds, ran.spawned.len());
            }
        }
    }
    Ok(runs)
}

#[test]
fn whatever_is_dropped_at_whichever_poll_nothing_is_left_open_stuck_or_old() {
    match run_all(&cases(), Fault::None) {
        Ok(runs) => println!("{runs} runs, each dropped at another poll"),
        Err(wrong) => panic!("{wrong}"),
    }
}

#[test]
fn every_public_async_function_of_the_crate_is_among_the_cases() {
    let (mut functions, mut paths) = (Vec::new(), vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))]);
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let lines = source.lines().map(str::trim);
        let named = lines.filter_map(|line| line.strip_prefix("pub async fn "));
        functions.extend(named.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
    }
    assert!(functions.len() > 8, "{functions:?}");
    // Not an `async fn`, and a future all the same.
    functions.push("sleep".to_owned());
    let cases = cases();
    for function in functions {
        let end = format!("::{function}");
        assert!(cases.iter().any(|case| case.name.split(',').next().unwrap().ends_with(&end)), "{function} is never dropped");
    }
}

#[cfg(feature = "faults")]
#[test]
fn windows_that_go_away_with_their_caller_are_found() {
    // One that goes wrong in no run that is not cut.
    let cases: Vec<_> = cases().into_iter().filter(|case| case.name == "WriteGuard::run, storing").collect();
    let wrong = run_all(&cases, Fault::CallerOwnsGuard).expect_err("the fault is found");
    assert!(wrong.contains("Caller {") && wrong.contains("gave 1"), "{wrong}");
}
