//! A cache and a source that yields at every step, and the calls that a case makes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Clock, Entry, Fold, LoadError, Manager, ManualClock, Policy, Read, Runtime, TailRead,
    TailRegion, Unknown, WriteError, WriteGuard, Written,
};
use futures_util::{FutureExt, future::BoxFuture};
use testkit::executor::{Executor, Task, yield_once};

use crate::support::{Down, Fault, Numbers, ReadError, TTL, plant};

/// The keys that each run reads and writes: of rows, of rows of another region, and of logs.
pub(super) const KEYS: [u64; 3] = [1, 2, 3];
/// Added to a key of the other region to name its row in the source.
pub(super) const OTHERS: u64 = 10;
/// Added to the key of a log to name its row in the source, whose version is the log's head.
pub(super) const LOGS: u64 = 20;
/// A row that is written at the end of a run, to start a task that settles.
pub(super) const END_TEST_ROW: u64 = 9;
/// How many loads, and how many writes, may run at a time.
pub(super) const PERMITS: usize = 2;
const SECOND: Duration = Duration::from_secs(1);
/// The tag of some values.
const TAG: &str = "versions";

/// A copy of the end of a log. It consists only of the head, the highest sequence number.
#[derive(Clone)]
pub(super) struct Head(u64);

impl Fold for Head {
    type Entry = u64;

    fn apply(&mut self, seq: u64, _: &u64) {
        self.0 = seq;
    }
}

/// A source whose rows count their commits. It yields at every statement.
#[derive(Default)]
pub(super) struct Source {
    rows: Mutex<BTreeMap<u64, u64>>,
    /// The newest version of each row that was acknowledged or read.
    observed: Mutex<BTreeMap<u64, u64>>,
    /// The number of commits when settling returned, after which there must be no more.
    pub(super) sealed: Mutex<Option<usize>>,
    pub(super) commits: AtomicUsize,
    /// How many loads and writes were given up, because their task was dropped.
    pub(super) given_up: AtomicUsize,
    /// The first failure.
    pub(super) wrong: Mutex<Option<String>>,
}

impl Source {
    pub(super) fn version(&self, row: u64) -> u64 {
        self.rows.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    pub(super) async fn read(&self, row: u64) -> u64 {
        yield_once().await;
        let version = self.version(row);
        yield_once().await;
        version
    }

    pub(super) async fn commit(&self, row: u64) -> u64 {
        // BEGIN, a statement and COMMIT.
        for _ in 0..3 {
            yield_once().await;
        }
        let version = self.version(row) + 1;
        self.rows.lock().unwrap().insert(row, version);
        self.commits.fetch_add(1, Ordering::SeqCst);
        yield_once().await;
        version
    }

    /// Returns the version that a read which begins now must reach.
    pub(super) fn floor(&self, row: u64) -> u64 {
        self.observed
            .lock()
            .unwrap()
            .get(&row)
            .copied()
            .unwrap_or(1)
    }

    /// Records a version that every later read must reach.
    pub(super) fn observe(&self, row: u64, version: u64) {
        let mut observed = self.observed.lock().unwrap();
        let floor = observed.entry(row).or_insert(1);
        *floor = version.max(*floor);
    }

    /// Waits until as many tasks have arrived as there are permits.
    pub(super) async fn meet(&self, arrived: Arc<AtomicUsize>) -> u64 {
        arrived.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            if arrived.load(Ordering::SeqCst) == PERMITS {
                return 0;
            }
            yield_once().await;
        }
        self.report("a permit was lost".to_owned());
        0
    }

    pub(super) fn count_given_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn report(&self, what: String) {
        self.wrong.lock().unwrap().get_or_insert(what);
    }
}

/// The way in which a write ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stores,
    StoresNothing,
    /// It commits, and panics when it should name its row.
    PanicsNaming,
    IsRefused,
    /// It commits, and its outcome is unknown.
    IsLost,
}

impl End {
    /// Returns the row that a write names which committed this version, if it names one.
    fn name(self, version: u64) -> Option<u64> {
        match self {
            Self::Stores => Some(version),
            // `resume_unwind` prints no message.
            Self::PanicsNaming => std::panic::resume_unwind(Box::new("planted")),
            Self::StoresNothing | Self::IsRefused | Self::IsLost => None,
        }
    }
}

/// A call of the cache.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Read(u64),
    ReadAfterMiss(u64),
    ReadMany,
    /// As `ReadMany`, with values that have a tag.
    ReadEntries,
    /// With a timeout, which ends if the clock is advanced.
    Request(u64),
    /// Loads a value with a tag.
    ReadTagged(u64),
    ReadOther(u64),
    Bypass(u64),
    BypassMany,
    ReadLog(u64),
    ReadLogAfterMiss(u64),
    ReadLogs,
    Write(u64, End),
    /// A write whose guard names two keys and another region, in which it may also create keys.
    WriteWidely(End),
    /// Over the keys below 3, which are not listed.
    WriteWhere(End),
    /// Over the tag, of row 1.
    WriteTagged(End),
    Upsert(u64),
    Append(u64, End),
    Settle,
    Cleanup,
    Shutdown,
    Listen(u64),
    Sleep,
    /// Advances the clock by a second, after some polls.
    AdvanceClock,
}

/// A cache and its source.
#[derive(Clone)]
pub(super) struct PollFixture {
    pub(super) manager: Manager,
    pub(super) numbers: Numbers,
    others: Numbers,
    logs: TailRegion<u64, Head>,
    pub(super) hand: ManualClock,
    pub(super) source: Arc<Source>,
}

/// The future of a loader of many rows.
type Rows = BoxFuture<'static, Result<Vec<(u64, u64)>, Down>>;

impl PollFixture {
    pub(super) fn new(executor: &Executor, fault: Fault) -> Self {
        let (clock, hand) = Clock::manual();
        let settled = Unknown::settled_by(|| async {
            yield_once().await;
            Ok(())
        });
        let builder = Manager::builder(Runtime::new(clock, executor.spawner()), settled)
            .permits(PERMITS, PERMITS);
        let manager = plant(builder, fault).build();
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

    /// Returns the task of a call.
    pub(super) fn task(self, call: Call) -> Task {
        match call {
            Call::Read(key) => task(self.read(key)),
            Call::ReadAfterMiss(key) => task(self.read_after_miss(key)),
            Call::ReadMany => task(self.read_many()),
            Call::ReadEntries => task(self.read_entries()),
            Call::Request(key) => task(self.request(key)),
            Call::ReadTagged(key) => task(self.read_tagged(key)),
            Call::ReadOther(key) => task(self.read_other(key)),
            Call::Bypass(key) => task(self.bypass(key)),
            Call::BypassMany => task(self.bypass_many()),
            Call::ReadLog(key) => task(self.read_log(key)),
            Call::ReadLogAfterMiss(key) => task(self.read_log_after_miss(key)),
            Call::ReadLogs => task(self.read_logs()),
            Call::Write(key, end) => task(self.write(key, end)),
            Call::WriteWidely(end) => task(self.write_widely(end)),
            Call::WriteWhere(end) => task(self.write_where(end)),
            Call::WriteTagged(end) => task(self.write_tagged(end)),
            Call::Upsert(key) => task(self.upsert(key)),
            Call::Append(key, end) => task(self.append(key, end)),
            Call::Settle => task(self.settle()),
            Call::Cleanup => task(async move { self.manager.cleanup().await }),
            Call::Shutdown => task(async move {
                let ended = self.manager.shutdown(SECOND).await;
                assert!(ended, "something has not ended");
            }),
            Call::Listen(key) => task(async move { self.numbers.listen(key).rung().await }),
            Call::Sleep => task(async move { self.manager.clock().sleep(SECOND).await }),
            Call::AdvanceClock => task(async move {
                for _ in 0..4 {
                    yield_once().await;
                }
                self.hand.advance(SECOND);
            }),
        }
    }

    /// Stores values and lets them expire. They are so many that a cleanup takes several polls.
    pub(super) fn fill_with_expired(&self) {
        (1_000..6_000).for_each(|key| assert!(self.numbers.insert(key, 1)));
        self.hand.advance(TTL);
    }

    async fn settle(self) {
        self.manager.settle().await.expect("settling failed");
        let commits = self.source.commits.load(Ordering::SeqCst);
        *self.source.sealed.lock().unwrap() = Some(commits);
    }

    /// Judges a read that began when `floor` was the version to reach.
    pub(super) fn judge(&self, row: u64, floor: u64, read: Result<u64, ReadError>) {
        match read {
            Ok(version) if version < floor => self
                .source
                .report(format!("row {row} returned {version} after {floor}")),
            Ok(version) => self.source.observe(row, version),
            Err(LoadError::GivenUp) => self.source.count_given_up(),
            Err(error) => self.source.report(format!("row {row}: {error}")),
        }
    }

    pub(super) async fn read_in(
        self,
        region: Numbers,
        key: u64,
        row: u64,
    ) -> Result<u64, ReadError> {
        let (floor, source) = (self.source.floor(row), self.source.clone());
        let read = region
            .get_or_load(key, move || async move {
                Ok::<_, Down>(Some(source.read(row).await))
            })
            .await;
        let read = read.map(|Read { value, .. }| value.expect("every row exists"));
        self.judge(row, floor, read.clone());
        read
    }

    pub(super) async fn read(self, key: u64) -> Result<u64, ReadError> {
        let region = self.numbers.clone();
        self.read_in(region, key, key).await
    }

    pub(super) async fn read_after_miss(self, key: u64) -> Result<u64, ReadError> {
        let (floor, source) = (self.source.floor(key), self.source.clone());
        assert!(
            self.numbers.look_up(&key).is_none(),
            "the value is in memory"
        );
        let load = move || async move { Ok::<_, Down>(Some(source.read(key).await)) };
        let read = self.numbers.load_after_miss(key, load).await;
        let read = read.map(|Read { value, .. }| value.expect("every row exists"));
        self.judge(key, floor, read.clone());
        read
    }

    pub(super) async fn read_other(self, key: u64) -> Result<u64, ReadError> {
        let region = self.others.clone();
        self.read_in(region, key, OTHERS + key).await
    }

    pub(super) async fn bypass(self, key: u64) -> Result<u64, ReadError> {
        let (floor, source) = (self.source.floor(key), self.source.clone());
        let read = self
            .numbers
            .bypass(key, move || async move {
                Ok::<_, Down>(Some(source.read(key).await))
            })
            .await;
        let read = read.map(|Read { value, .. }| value.expect("every row exists"));
        self.judge(key, floor, read.clone());
        read
    }

    pub(super) async fn read_many(self) {
        let (floors, load) = (KEYS.map(|key| self.source.floor(key)), self.load_many());
        let reads = self.numbers.get_or_load_many(&KEYS, load).await;
        self.judge_many(floors, reads);
    }

    pub(super) async fn read_entries(self) {
        let (floors, load) = (KEYS.map(|key| self.source.floor(key)), self.load_many());
        let load = |keys| async {
            let rows: Vec<(u64, u64)> = load(keys).await?;
            let entry = |(key, version)| (key, Entry::new(version).tag(TAG));
            Ok::<_, Down>(rows.into_iter().map(entry).collect())
        };
        let reads = self.numbers.get_or_load_entries(&KEYS, load).await;
        self.judge_many(floors, reads);
    }

    pub(super) async fn request(self, key: u64) {
        let (floor, source) = (self.source.floor(key), self.source.clone());
        let load = move || async move { Ok::<_, Down>(Some(source.read(key).await)) };
        let request = self.numbers.request(key).timeout(SECOND);
        match request.load(load).await {
            Err(LoadError::TimedOut) => {}
            read => {
                let read = read.map(|Read { value, .. }| value.expect("every row exists"));
                self.judge(key, floor, read);
            }
        }
    }

    pub(super) async fn read_tagged(self, key: u64) {
        let (floor, source) = (self.source.floor(key), self.source.clone());
        let load = move || async move {
            let entry = Entry::new(source.read(key).await).tag(TAG);
            Ok::<_, Down>(Some(entry))
        };
        let read = self.numbers.request(key).load_entry(load).await;
        let read = read.map(|Read { value, .. }| value.expect("every row exists"));
        self.judge(key, floor, read);
    }

    pub(super) async fn write_tagged(self, end: End) {
        // The row that is in memory when a case begins has no tag, so its key is named, too.
        let guard = self.manager.guard().tag(&self.numbers, TAG);
        let guard = guard.key_storing(&self.numbers, 1, move |version| end.name(*version));
        self.run(guard, 1, end).await;
    }

    pub(super) async fn upsert(self, key: u64) {
        let source = self.source.clone();
        let write = move |current: Option<u64>| async move {
            if current.is_some_and(|current| current != source.version(key)) {
                source.report(format!("an upsert of row {key} was passed {current:?}"));
            }
            Written::<_, Down>::Committed(source.commit(key).await)
        };
        match self.manager.upsert(&self.numbers, key, write).await {
            Ok(version) => self.source.observe(key, version),
            Err(WriteError::GivenUp) => self.source.count_given_up(),
            Err(error) => self.source.report(format!("an upsert returned {error:?}")),
        }
    }

    pub(super) async fn bypass_many(self) {
        let (floors, load) = (KEYS.map(|key| self.source.floor(key)), self.load_many());
        let reads = self.numbers.bypass_many(&KEYS, load).await;
        self.judge_many(floors, reads);
    }

    /// Returns a loader of many rows.
    fn load_many(&self) -> impl FnOnce(Vec<u64>) -> Rows + Send + 'static {
        let source = self.source.clone();
        |keys| {
            async move {
                let mut rows = Vec::new();
                for key in keys {
                    rows.push((key, source.read(key).await));
                }
                Ok(rows)
            }
            .boxed()
        }
    }

    fn judge_many(&self, floors: [u64; 3], reads: Result<Vec<Read<u64>>, ReadError>) {
        match reads {
            Ok(reads) => {
                for ((key, floor), read) in KEYS.into_iter().zip(floors).zip(reads) {
                    self.judge(key, floor, Ok(read.value.expect("every row exists")));
                }
            }
            Err(error) => self.judge(0, 0, Err(error)),
        }
    }

    /// Ends a read of a log: reads the source if the copy could not answer, judges the result, and
    /// returns it.
    pub(super) async fn follow(&self, key: u64, floor: u64, read: TailRead<u64>) -> u64 {
        let head = match read {
            TailRead::Found(Read { value, .. }) => value.expect("a copy has a head"),
            TailRead::Absent(_) => panic!("every log exists"),
            TailRead::Elsewhere => {
                let head = self.source.read(LOGS + key).await;
                self.logs.saw(&key, head);
                head
            }
        };
        self.judge(LOGS + key, floor, Ok(head));
        head
    }

    pub(super) async fn read_log(self, key: u64) -> Result<u64, ReadError> {
        let floor = self.source.floor(LOGS + key);
        let load = self.fill(key);
        let read = self.logs.get_or_fill(key, load, |head| Some(head.0)).await;
        self.end_log_read(key, floor, read).await
    }

    pub(super) async fn read_log_after_miss(self, key: u64) -> Result<u64, ReadError> {
        let floor = self.source.floor(LOGS + key);
        let load = self.fill(key);
        let head = |head: &Head| Some(head.0);
        assert!(
            self.logs.look_up(&key, head).is_none(),
            "the log is in memory"
        );
        let read = self.logs.fill_after_miss(key, load, head).await;
        self.end_log_read(key, floor, read).await
    }

    /// Returns a loader that fills the copy of a log.
    fn fill(
        &self,
        key: u64,
    ) -> impl FnOnce() -> BoxFuture<'static, Result<Option<(u64, Head)>, Down>> + Send + 'static
    {
        let source = self.source.clone();
        move || {
            async move {
                let head = source.read(LOGS + key).await;
                Ok(Some((head, Head(head))))
            }
            .boxed()
        }
    }

    async fn end_log_read(
        &self,
        key: u64,
        floor: u64,
        read: Result<TailRead<u64>, ReadError>,
    ) -> Result<u64, ReadError> {
        match read {
            Ok(read) => Ok(self.follow(key, floor, read).await),
            Err(error) => {
                self.judge(LOGS + key, floor, Err(error.clone()));
                Err(error)
            }
        }
    }

    pub(super) async fn read_logs(self) {
        let (floors, source) = (
            KEYS.map(|key| self.source.floor(LOGS + key)),
            self.source.clone(),
        );
        let load = |keys: Vec<u64>| async move {
            let mut rows = Vec::new();
            for key in keys {
                let head = source.read(LOGS + key).await;
                rows.push((key, head, Head(head)));
            }
            Ok::<_, Down>(rows)
        };
        match self
            .logs
            .get_or_fill_many(&KEYS, load, |head| Some(head.0))
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

    pub(super) async fn run(&self, guard: WriteGuard<u64>, row: u64, end: End) {
        let source = self.source.clone();
        let write = async move {
            match end {
                End::Stores | End::StoresNothing | End::PanicsNaming => {
                    Written::Committed(source.commit(row).await)
                }
                End::IsRefused => {
                    yield_once().await;
                    Written::NotApplied(Down)
                }
                End::IsLost => {
                    source.commit(row).await;
                    Written::Unknown(Down)
                }
            }
        };
        match (guard.run(write).await, end) {
            (Ok(version), End::Stores | End::StoresNothing | End::PanicsNaming) => {
                self.source.observe(row, version);
            }
            (Err(WriteError::NotApplied(Down)), End::IsRefused)
            | (Err(WriteError::Unknown(Down)), End::IsLost) => {}
            (Err(WriteError::GivenUp), _) => self.source.count_given_up(),
            (other, _) => self
                .source
                .report(format!("a write of row {row} returned {other:?}")),
        }
    }

    pub(super) async fn write(self, key: u64, end: End) {
        let guard = self.manager.guard();
        let guard = guard.key_storing(&self.numbers, key, move |version| end.name(*version));
        self.run(guard, key, end).await;
    }

    /// Writes a row under a guard that names two keys and another region, in which the write may
    /// also create keys.
    pub(super) async fn write_widely(self, end: End) {
        let region = self.numbers.clone();
        let guard = self
            .manager
            .guard()
            .key(&region, 1)
            .key(&region, 2)
            .region(&self.others)
            .creating(&self.others);
        self.run(guard, OTHERS + 1, end).await;
    }

    /// Writes a row under a guard over the keys below 3, which are not listed.
    pub(super) async fn write_where(self, end: End) {
        let guard = self.manager.guard();
        let guard = guard.keys_where(&self.numbers, |key| *key < 3);
        self.run(guard, 1, end).await;
    }

    pub(super) async fn append(self, key: u64, end: End) {
        let entry = move |seq: &u64| end.name(*seq).map(|seq| (seq, seq));
        let guard = self.manager.guard().append(&self.logs, key, entry);
        self.run(guard, LOGS + key, end).await;
    }

    /// Waits for `from` polls. Then reads `key` four times in each way: through the cache,
    /// bypassing the cache, from the other region, and from the log.
    pub(super) async fn keep_reading(self, key: u64, from: usize) {
        for _ in 0..from {
            yield_once().await;
        }
        for _ in 0..4 {
            let _ = self.clone().read(key).await;
            let _ = self.clone().bypass(key).await;
            let _ = self.clone().read_other(key).await;
            let _ = self.clone().read_log(key).await;
        }
    }

    /// Checks, while nothing else runs, that every read returns the source's version and that the
    /// value is then in memory.
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
                    self.source.report(format!(
                        "at rest row {row} returned {read:?}, but the source holds {}",
                        self.source.version(row)
                    ));
                }
            }
            for (what, hit) in [
                ("row", self.numbers.get(&key)),
                (
                    "log",
                    self.logs
                        .look_up(&key, |head| Some(head.0))
                        .and_then(|read| read.value),
                ),
            ] {
                if hit.is_none() {
                    self.source.report(format!(
                        "at rest {what} {key} is not in memory after it was read"
                    ));
                }
            }
        }
    }

    /// Returns as many loads and writes as there are permits. Each ends when all of its kind have
    /// begun, so that a lost permit is found.
    pub(super) fn use_all_permits(&self) -> Vec<Task> {
        let (loads, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pairs = (100..).take(PERMITS).map(|key| {
            let (fixture, loads, writes) = (self.clone(), loads.clone(), writes.clone());
            let load = task(async move {
                let load = || async move { Ok::<_, Down>(Some(fixture.source.meet(loads).await)) };
                fixture
                    .numbers
                    .get_or_load(key, load)
                    .await
                    .expect("the load failed");
            });
            let fixture = self.clone();
            let write = task(async move {
                let write =
                    async move { Written::<_, Down>::Committed(fixture.source.meet(writes).await) };
                fixture
                    .manager
                    .guard()
                    .key(&fixture.numbers, key)
                    .run(write)
                    .await
                    .expect("the write failed");
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
