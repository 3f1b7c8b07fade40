//! One cache before one source, both of which give others a turn at every step, and all that is done with them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{
    Clock, Fault, LoadError, Manager, ManualClock, Policy, Read, Runtime, SettleFn, Stores,
    TailRead, TailRegion, WriteError, WriteGuard, Written, log::Fold,
};

use crate::{
    support::{Down, Numbers, TTL},
    turns::{Task, Turns, pause},
};

/// What is read and written in each run: three rows, three of another region, three logs.
pub(super) const KEYS: [u64; 3] = [1, 2, 3];
/// Rows of the other region and logs have names of their own in the source.
pub(super) const OTHERS: u64 = 10;
pub(super) const LOGS: u64 = 20;
/// A row that only settling writes.
pub(super) const ASIDE: u64 = 9;
/// Loads, and writes, that may run at a time.
pub(super) const PERMITS: usize = 2;
/// The last places of a log.
#[derive(Clone)]
pub(super) struct Places(u64);

impl Fold for Places {
    type Entry = u64;

    fn apply(&mut self, place: u64, _: &u64) {
        self.0 = place;
    }
}

/// Rows that count their commits, and logs that count their entries. It gives others a turn at every statement.
#[derive(Default)]
pub(super) struct Source {
    rows: Mutex<BTreeMap<u64, u64>>,
    /// The newest version of each row that was acknowledged or read.
    known: Mutex<BTreeMap<u64, u64>>,
    /// Commits after settling had told that none would come.
    pub(super) sealed: Mutex<Option<usize>>,
    pub(super) commits: AtomicUsize,
    /// How often a load or a write was given up, because its task was dropped.
    pub(super) given_up: AtomicUsize,
    /// The first thing that went wrong.
    pub(super) wrong: Mutex<Option<String>>,
}

impl Source {
    pub(super) fn version(&self, row: u64) -> u64 {
        self.rows.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    pub(super) async fn read(&self, row: u64) -> u64 {
        pause().await;
        let version = self.version(row);
        pause().await;
        version
    }

    pub(super) async fn commit(&self, row: u64) -> u64 {
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

    pub(super) fn known(&self, row: u64) -> u64 {
        self.known.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    /// Whoever reads later sees at least this version.
    pub(super) fn knows(&self, row: u64, version: u64) {
        let mut known = self.known.lock().unwrap();
        let known = known.entry(row).or_insert(1);
        *known = version.max(*known);
    }

    /// Returns when as many are here as there are permits.
    pub(super) async fn meet(&self, here: Arc<AtomicUsize>) -> u64 {
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

    pub(super) fn gives_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap().get_or_insert(what);
    }
}

/// How a write ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
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
pub(super) struct Stage {
    pub(super) manager: Manager,
    pub(super) numbers: Numbers,
    others: Numbers,
    logs: TailRegion<u64, Places>,
    pub(super) hand: ManualClock,
    pub(super) source: Arc<Source>,
}

impl Stage {
    pub(super) fn new(turns: &Turns, fault: Fault) -> Self {
        let (clock, hand) = Clock::manual();
        let settle: SettleFn = Arc::new(|| {
            Box::pin(async {
                pause().await;
                Ok(())
            })
        });
        let builder = Manager::builder(Runtime::new(clock, turns.spawner()))
            .settle(settle)
            .permits(PERMITS, PERMITS);
        #[cfg(feature = "faults")]
        let builder = builder.fault(fault);
        #[cfg(not(feature = "faults"))]
        assert_eq!(fault, Fault::None);
        let manager = builder.build();
        let policy = Policy::new(TTL, 10_000);
        let (numbers, others) = (
            manager.region("numbers", policy.clone()),
            manager.region("others", policy.clone()),
        );
        let logs = manager.tail_region("logs", policy, 1);
        Self {
            manager,
            numbers,
            others,
            logs,
            hand,
            source: Arc::default(),
        }
    }

    /// A read that began at `floor` has ended.
    pub(super) fn judge(&self, row: u64, floor: u64, read: Result<u64, LoadError>) {
        match read {
            Ok(version) if version < floor => self
                .source
                .is_wrong(format!("row {row} gave {version} after {floor}")),
            Ok(version) => self.source.knows(row, version),
            Err(LoadError::GivenUp) => self.source.gives_up(),
            Err(error) => self.source.is_wrong(format!("row {row}: {error}")),
        }
    }

    pub(super) async fn read_in(
        self,
        region: Numbers,
        key: u64,
        row: u64,
    ) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(row), self.source.clone());
        let read = region
            .get_or_load(key, move || async move {
                Ok::<_, Down>(Some(source.read(row).await))
            })
            .await;
        let read = read.map(|Read { value, .. }| value.expect("each row is there"));
        self.judge(row, floor, read.clone());
        read
    }

    pub(super) async fn read(self, key: u64) -> Result<u64, LoadError> {
        let region = self.numbers.clone();
        self.read_in(region, key, key).await
    }

    pub(super) async fn read_other(self, key: u64) -> Result<u64, LoadError> {
        let region = self.others.clone();
        self.read_in(region, key, OTHERS + key).await
    }

    pub(super) async fn bypass(self, key: u64) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(key), self.source.clone());
        let read = self
            .numbers
            .bypass(move || async move { Ok::<_, Down>(Some(source.read(key).await)) })
            .await;
        let read = read.map(|Read { value, .. }| value.expect("each row is there"));
        self.judge(key, floor, read.clone());
        read
    }

    pub(super) async fn read_many(self) {
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
    pub(super) async fn follow(&self, key: u64, floor: u64, read: TailRead<u64>) -> u64 {
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

    pub(super) async fn read_log(self, key: u64) -> Result<u64, LoadError> {
        let (floor, source) = (self.source.known(LOGS + key), self.source.clone());
        let load = move || async move {
            let head = source.read(LOGS + key).await;
            Ok::<_, Down>(Some((head, Places(head))))
        };
        match self
            .logs
            .get_or_fill(key, load, |places| Some(places.0))
            .await
        {
            Ok(read) => Ok(self.follow(key, floor, read).await),
            Err(error) => {
                self.judge(LOGS + key, floor, Err(error.clone()));
                Err(error)
            }
        }
    }

    pub(super) async fn read_logs(self) {
        let (floors, source) = (
            KEYS.map(|key| self.source.known(LOGS + key)),
            self.source.clone(),
        );
        let load = |keys: Vec<u64>| async move {
            let mut rows = Vec::new();
            for key in keys {
                let head = source.read(LOGS + key).await;
                rows.push((key, head, Places(head)));
            }
            Ok::<_, Down>(rows)
        };
        match self
            .logs
            .get_or_fill_many(&KEYS, load, |places| Some(places.0))
            .await
        {
            Ok(reads) => {
                for ((key, floor), read) in KEYS.into_iter().zip(floors).zip(reads) {
                    self.follow(key, floor, read).await;
                }
            }
            Err(error) => self.judge(LOGS, 0, Err(error)),
        }
    }

    pub(super) async fn run(
        &self,
        guard: WriteGuard,
        row: u64,
        end: End,
        store: impl FnOnce(u64, &mut Stores<'_>) + Send + 'static,
    ) {
        let source = self.source.clone();
        let write = async move {
            match end {
                End::Stores | End::StoresNothing | End::CannotTell => {
                    Written::Committed(source.commit(row).await)
                }
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
            (Ok(version), End::Stores | End::StoresNothing | End::CannotTell) => {
                self.source.knows(row, version);
            }
            (Err(WriteError::Store(Down)), End::IsRefused | End::IsLost) => {}
            (Err(WriteError::GivenUp), _) => self.source.gives_up(),
            (other, _) => self
                .source
                .is_wrong(format!("a write of row {row} answered {other:?}")),
        }
    }

    pub(super) async fn write(self, key: u64, end: End) {
        let region = self.numbers.clone();
        self.run(
            self.manager.guard().key(&region, key),
            key,
            end,
            move |version, to| to.put(&region, key, version),
        )
        .await;
    }

    /// A write of a row that also makes a key, a region and an absence of others stale.
    pub(super) async fn write_widely(self, end: End) {
        let region = self.numbers.clone();
        let guard = self
            .manager
            .guard()
            .key(&region, 1)
            .key(&region, 2)
            .region(&self.others)
            .creating(&self.others);
        self.run(guard, OTHERS + 1, end, |_, _| {}).await;
    }

    pub(super) async fn append(self, key: u64, end: End) {
        let region = self.logs.clone();
        let guard = self.manager.guard().append(&region, key);
        self.run(guard, LOGS + key, end, move |place, to| {
            to.append(&region, place, place);
        })
        .await;
    }

    /// Reads through the cache and past it in turn, as long as a run takes.
    pub(super) async fn keep_reading(self, key: u64, from: usize) {
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
    pub(super) async fn at_rest(self) {
        for key in KEYS {
            let reads = [
                self.clone().bypass(key).await,
                self.clone().read(key).await,
                self.clone().read(key).await,
            ];
            let others = [
                self.clone().read_other(key).await,
                self.clone().read_other(key).await,
            ];
            let logs = [
                self.clone().read_log(key).await,
                self.clone().read_log(key).await,
            ];
            let all = reads.into_iter().map(|read| (key, read));
            let all = all
                .chain(others.map(|read| (OTHERS + key, read)))
                .chain(logs.map(|read| (LOGS + key, read)));
            for (row, read) in all {
                if !matches!(read, Ok(version) if version == self.source.version(row)) {
                    self.source.is_wrong(format!(
                        "at rest row {row} gave {read:?}, and holds {}",
                        self.source.version(row)
                    ));
                }
            }
            for (what, hit) in [
                ("row", self.numbers.get(&key)),
                (
                    "log",
                    self.logs
                        .look_up(&key, |places| Some(places.0))
                        .and_then(|read| read.value),
                ),
            ] {
                if hit.is_none() {
                    self.source.is_wrong(format!(
                        "at rest {what} {key} is not in memory after it was read"
                    ));
                }
            }
        }
    }

    /// As many loads and writes as there are permits for, each of which ends when all of its kind have begun.
    pub(super) fn all_at_once(&self) -> Vec<Task> {
        let (loads, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pairs = (100..).take(PERMITS).map(|key| {
            let (stage, loads, writes) = (self.clone(), loads.clone(), writes.clone());
            let load = task(async move {
                let load = || async move { Ok::<_, Down>(Some(stage.source.meet(loads).await)) };
                stage
                    .numbers
                    .get_or_load(key, load)
                    .await
                    .expect("the load succeeds");
            });
            let stage = self.clone();
            let write = task(async move {
                let write =
                    async move { Written::<_, Down>::Committed(stage.source.meet(writes).await) };
                stage
                    .manager
                    .guard()
                    .key(&stage.numbers, key)
                    .run(write, |_, _| {})
                    .await
                    .expect("the write succeeds");
            });
            [load, write]
        });
        pairs.flatten().collect()
    }
}

pub(super) fn task(future: impl Future + Send + 'static) -> Task {
    Box::pin(async move {
        future.await;
    })
}
