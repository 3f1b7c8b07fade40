//! What scenarios are made of: a store of versions that yields at each step, readers, writers, and the windows they visit.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cache_core::{
    Clock, Fault, Lease, Manager, ManualClock, Policy, Region, Runtime, SettleFn, TailRead,
    TailRegion, WriteError, WriteGuard, Written, log::Fold,
};
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
};
use tokio::sync::oneshot;

use crate::judge::Judge;

pub(crate) const TTL: Duration = Duration::from_mins(1);

/// How often a scenario came to what it is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visits {
    hits: u64,
    overtaken: u64,
    joins: u64,
    bypasses: u64,
    contended: u64,
    unknown: u64,
    stale: u64,
    evicted: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    Hit,
    Overtaken,
    Join,
    Bypass,
    Contended,
    Unknown,
    Stale,
    Evicted,
}

impl Visits {
    pub(crate) fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.overtaken += other.overtaken;
        self.joins += other.joins;
        self.bypasses += other.bypasses;
        self.contended += other.contended;
        self.unknown += other.unknown;
        self.stale += other.stale;
        self.evicted += other.evicted;
    }

    pub(crate) fn of(&self, window: Window) -> u64 {
        match window {
            Window::Hit => self.hits,
            Window::Overtaken => self.overtaken,
            Window::Join => self.joins,
            Window::Bypass => self.bypasses,
            Window::Contended => self.contended,
            Window::Unknown => self.unknown,
            Window::Stale => self.stale,
            Window::Evicted => self.evicted,
        }
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hits,
            overtaken,
            joins,
            bypasses,
            contended,
            unknown,
            stale,
            evicted,
        } = self;
        write!(
            f,
            "{hits} hits, {overtaken} loads overtaken, {joins} joins, {bypasses} bypasses, {contended} contended closes, "
        )?;
        write!(f, "{unknown} unknown, {stale} stale, {evicted} evicted")
    }
}

/// The versions in the store, and the commits that may yet land. Its steps are atomic; between them it yields.
#[derive(Default)]
struct Db {
    rows: Mutex<HashMap<u64, u64>>,
    landing: Mutex<Vec<oneshot::Receiver<()>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A step at which others run, now and then for long: what overtakes a load or a write takes many steps itself.
async fn pause() {
    let steps = if thread_rng().gen_range(0..100) < 35 {
        thread_rng().gen_range(10..80)
    } else {
        1
    };
    for _ in 0..steps {
        yield_now().await;
    }
}

impl Db {
    async fn read(&self, key: u64) -> u64 {
        yield_now().await;
        let version = locked(&self.rows).get(&key).copied().unwrap_or(0);
        pause().await;
        version
    }

    fn commit(&self, key: u64) -> u64 {
        let mut rows = locked(&self.rows);
        let version = rows.entry(key).or_default();
        *version += 1;
        *version
    }

    async fn write(&self, keys: &[u64]) -> Vec<(u64, u64)> {
        pause().await;
        let versions = keys.iter().map(|key| (*key, self.commit(*key))).collect();
        pause().await;
        versions
    }
}

/// The end of a log whose head is its version.
struct Head(u64);

impl Fold for Head {
    type Entry = ();

    fn apply(&mut self, place: u64, (): &()) {
        assert_eq!(place, self.0 + 1, "applied over a gap");
        self.0 = place;
    }
}

/// How a region behaves in a scenario.
pub(crate) fn policy() -> Policy {
    Policy::new(TTL, 100)
}

/// The scenario's cache, store and judge.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) manager: Manager,
    pub(crate) hand: ManualClock,
    db: Arc<Db>,
    pub(crate) judge: Arc<Judge>,
    visits: &'static Mutex<Visits>,
    /// Tasks of the cache and of the store, which a schedule runs to their ends.
    tasks: Tasks,
}

type Tasks = Arc<Mutex<Vec<JoinHandle<()>>>>;

pub(crate) type Numbers = Region<u64, u64>;

/// A log's end, cached.
#[derive(Clone)]
pub(crate) struct Logs(TailRegion<u64, Head>);

impl Stage {
    pub(crate) fn new(fault: Fault, visits: &'static Mutex<Visits>) -> Self {
        let (clock, hand) = Clock::manual();
        let db = Arc::new(Db::default());
        let landing = db.clone();
        let settle: SettleFn = Arc::new(move || {
            let landing = landing.clone();
            async move {
                let landing = std::mem::take(&mut *locked(&landing.landing));
                for landed in landing {
                    drop(landed.await);
                }
                Ok(())
            }
            .boxed()
        });
        let tasks = Tasks::default();
        let spawned = tasks.clone();
        let runtime = Runtime::new(clock, move |task| {
            // Not while the list is locked: to spawn is a step of the schedule.
            let task = spawn(task);
            locked(&spawned).push(task);
        });
        let long = Duration::from_secs(1 << 30);
        let manager = Manager::builder(runtime)
            .settle(settle)
            .load_timeout(long)
            .write_timeout(long)
            .fault(fault)
            .build();
        Self {
            manager,
            hand,
            db,
            judge: Arc::default(),
            visits,
            tasks,
        }
    }

    pub(crate) fn numbers(&self, policy: Policy) -> Numbers {
        self.manager.region("numbers", policy)
    }

    pub(crate) fn logs(&self, policy: Policy) -> Logs {
        Logs(self.manager.tail_region("logs", policy, 1))
    }

    /// Runs what is left to its end.
    pub(crate) async fn drain(&self) {
        loop {
            let task = locked(&self.tasks).pop();
            let Some(task) = task else { return };
            task.await.unwrap_or_else(|error| panic!("{error:?}"));
        }
    }

    /// Adds up what was visited.
    pub(crate) fn count(&self) {
        self.manager.validate().unwrap();
        assert!(self.manager.is_quiet(), "something is left in progress");
        let mut visits = locked(self.visits);
        for (_, _, stats) in self.manager.stats() {
            visits.add(&Visits {
                hits: stats.hits,
                overtaken: stats.refused_stores,
                joins: stats.joins,
                bypasses: stats.past_loads,
                contended: stats.contended_closes,
                unknown: 0,
                stale: stats.stale_served,
                evicted: stats.evicted_by_capacity,
            });
        }
    }

    /// Reads that each are judged; a load fails in so many of a hundred cases.
    pub(crate) fn reader(
        &self,
        numbers: &Numbers,
        key: u64,
        times: usize,
        failing: u32,
    ) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = stage.judge.begin(key);
                let db = stage.db.clone();
                let load = move || async move {
                    let version = db.read(key).await;
                    if thread_rng().gen_range(0..100) < failing {
                        Err(fmt::Error)
                    } else {
                        Ok(Some(version).filter(|version| *version > 0))
                    }
                };
                match numbers.get_or_load(key, load).await {
                    Ok(read) => stage.judge.end(bound, read.value.unwrap_or(0)),
                    Err(_) => assert!(failing > 0, "no load fails here"),
                }
            }
        })
    }

    /// Reads that keep what they read under a lease, and read anew when it is lost.
    pub(crate) fn leaser(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let mut kept: Option<(Lease, u64)> = None;
            for _ in 0..times {
                let bound = stage.judge.begin(key);
                if let Some((_, version)) = kept.filter(|(lease, _)| numbers.holds(lease)) {
                    stage.judge.end(bound, version);
                    continue;
                }
                let lease = numbers.lease(&[key]);
                let db = stage.db.clone();
                let load = move || async move {
                    Ok::<_, Infallible>(Some(db.read(key).await).filter(|version| *version > 0))
                };
                let read = match numbers.look_up(&key) {
                    Some(read) => read,
                    None => numbers
                        .get_or_load(key, load)
                        .await
                        .unwrap_or_else(|error| panic!("{error}")),
                };
                let version = read.value.unwrap_or(0);
                stage.judge.end(bound, version);
                kept = lease.map(|lease| (lease, version));
            }
        })
    }

    /// Reads past the cache.
    pub(crate) fn bypasser(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = stage.judge.begin(key);
                let db = stage.db.clone();
                let load = move || async move { Ok::<_, Infallible>(Some(db.read(key).await)) };
                let read = numbers
                    .bypass(load)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
                stage.judge.end(bound, read.value.unwrap_or(0));
            }
        })
    }

    /// A write of all keys in one transaction, which stores the rows that it returns.
    pub(crate) fn writer(&self, numbers: &Numbers, keys: &'static [u64]) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let db = stage.db.clone();
            let write = async move { Written::<_, Infallible>::Committed(db.write(keys).await) };
            let guard = keys.iter().fold(stage.manager.guard(), |guard, key| {
                guard.key(&numbers, *key)
            });
            let of = numbers.clone();
            let store = move |rows: &Vec<(u64, u64)>, stores: &mut cache_core::Stores<'_>| {
                for (key, version) in rows {
                    stores.put(&of, *key, *version);
                }
            };
            for (key, version) in guard
                .run(write, store)
                .await
                .unwrap_or_else(|error| panic!("{error:?}"))
            {
                stage.judge.acknowledged(key, version);
            }
        })
    }

    /// A write whose caller goes away after some steps.
    pub(crate) fn cancelled_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let db = stage.db.clone();
            let write =
                async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
            let written = stage
                .manager
                .guard()
                .key(&numbers, key)
                .run(write, |_, _| {})
                .boxed();
            let steps = thread_rng().gen_range(0..6);
            let patience = async {
                for _ in 0..steps {
                    yield_now().await;
                }
            };
            if let Either::Left((Ok(version), _)) = select(written, patience.boxed()).await {
                stage.judge.acknowledged(key, version);
            }
        })
    }

    /// A write that is refused.
    pub(crate) fn refused_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let write = async {
                yield_now().await;
                Written::<(), _>::NotApplied("refused")
            };
            let refused = stage
                .manager
                .guard()
                .key(&numbers, key)
                .run(write, |(), _| {})
                .await;
            assert_eq!(refused, Err(WriteError::Store("refused")));
        })
    }

    /// What a lost COMMIT does: it lands later, or never.
    fn lose(&self, key: u64) {
        locked(self.visits).unknown += 1;
        let (landed, waits) = oneshot::channel();
        locked(&self.db.landing).push(waits);
        let db = self.db.clone();
        let task = spawn(async move {
            pause().await;
            if thread_rng().gen_bool(0.7) {
                db.commit(key);
            }
            pause().await;
            drop(landed);
        });
        locked(&self.tasks).push(task);
    }

    /// A write of unknown outcome.
    pub(crate) fn lost_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        self.lost(self.manager.guard().key(numbers, key), key)
    }

    fn lost(&self, guard: WriteGuard, key: u64) -> JoinHandle<()> {
        let stage = self.clone();
        spawn(async move {
            let write = async move {
                yield_now().await;
                stage.lose(key);
                Written::<(), _>::Unknown("lost")
            };
            assert_eq!(
                guard.run(write, |(), _| {}).await,
                Err(WriteError::Store("lost"))
            );
        })
    }

    /// The write that makes a key which nobody knew.
    pub(crate) fn creator(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let db = stage.db.clone();
            let write =
                async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
            let version = stage
                .manager
                .guard()
                .creating(&numbers)
                .run(write, |_, _| {})
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            stage.judge.acknowledged(key, version);
        })
    }

    /// An edit past the cache, and then the bulk invalidation by hand that makes it known.
    pub(crate) fn editor(&self, key: u64) -> JoinHandle<()> {
        let stage = self.clone();
        spawn(async move {
            pause().await;
            let version = stage.db.commit(key);
            stage.manager.clear();
            stage.judge.acknowledged(key, version);
        })
    }

    /// Reads that nobody judges.
    pub(crate) fn warmer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (stage, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..3 {
                let db = stage.db.clone();
                let load = move || async move { Ok::<_, Infallible>(Some(db.read(key).await)) };
                numbers
                    .get_or_load(key, load)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        })
    }

    /// Lets time pass in the midst.
    pub(crate) fn time(&self, passes: Duration) -> JoinHandle<()> {
        let stage = self.clone();
        spawn(async move {
            for _ in 0..2 {
                yield_now().await;
                stage.hand.advance(passes);
            }
        })
    }

    /// Reads of a log's end, past the cache in so many of a hundred cases.
    pub(crate) fn log_reader(
        &self,
        logs: &Logs,
        key: u64,
        times: usize,
        past: u32,
    ) -> JoinHandle<()> {
        let (stage, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = stage.judge.begin(key);
                let head = if thread_rng().gen_range(0..100) < past {
                    None
                } else {
                    stage.read_log(&logs, key).await
                };
                let head = if let Some(head) = head {
                    head
                } else {
                    let head = stage.db.read(key).await;
                    logs.0.saw(&key, head);
                    head
                };
                stage.judge.end(bound, head);
            }
        })
    }

    async fn read_log(&self, logs: &Logs, key: u64) -> Option<u64> {
        if let Some(read) = logs.0.look_up(&key, |head| Some(head.0)) {
            return read.value;
        }
        let db = self.db.clone();
        let load = move || async move {
            let head = db.read(key).await;
            Ok::<_, Infallible>(Some((head, Head(head))))
        };
        match logs
            .0
            .get_or_fill(key, load, |head| Some(head.0))
            .await
            .unwrap_or_else(|error| panic!("{error}"))
        {
            TailRead::Found(read) => read.value,
            TailRead::Absent(_) | TailRead::Elsewhere => None,
        }
    }

    pub(crate) fn appender(&self, logs: &Logs, key: u64, times: usize) -> JoinHandle<()> {
        let (stage, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for _ in 0..times {
                let (db, of) = (stage.db.clone(), logs.clone());
                let write =
                    async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
                let guard = stage.manager.guard().append(&logs.0, key);
                let place = guard
                    .run(write, move |place, stores| stores.append(&of.0, *place, ()))
                    .await;
                stage
                    .judge
                    .acknowledged(key, place.unwrap_or_else(|error| panic!("{error:?}")));
            }
        })
    }

    pub(crate) fn lost_appender(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        self.lost(self.manager.guard().append(&logs.0, key), key)
    }

    /// A clear of the log: it takes a place, under a window of its own.
    pub(crate) fn clearer(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        let (stage, logs) = (self.clone(), logs.clone());
        spawn(async move {
            let db = stage.db.clone();
            let write =
                async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
            let guard = stage.manager.guard().key(logs.0.region(), key);
            let place = guard
                .run(write, |_, _| {})
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            stage.judge.acknowledged(key, place);
        })
    }

    /// Puts another log in memory, so that the first is pushed out.
    pub(crate) fn evictor(&self, logs: &Logs, keys: std::ops::Range<u64>) -> JoinHandle<()> {
        let (stage, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for key in keys {
                stage.read_log(&logs, key).await;
            }
        })
    }
}
