//! The parts of scenarios: a source of versions that yields at each step, readers, writers, and a
//! count of the situations that they visit.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cache_core::{
    Clock, Entry, Fault, Lease, Manager, ManualClock, Policy, Region, RegionStats, Runtime,
    Unknown, WriteError, WriteGuard, Written,
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

pub(crate) const TTL: Duration = Duration::from_secs(60);

/// How often a scenario visited each situation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visits {
    pub(crate) schedules: u64,
    hits: u64,
    overtaken: u64,
    joins: u64,
    bypasses: u64,
    contended: u64,
    unknown: u64,
    stale: u64,
    evicted: u64,
}

/// A situation that a scenario must visit. A scenario that does not visit it tests something else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Situation {
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
        self.schedules += other.schedules;
        self.hits += other.hits;
        self.overtaken += other.overtaken;
        self.joins += other.joins;
        self.bypasses += other.bypasses;
        self.contended += other.contended;
        self.unknown += other.unknown;
        self.stale += other.stale;
        self.evicted += other.evicted;
    }

    pub(crate) fn count(&self, situation: Situation) -> u64 {
        match situation {
            Situation::Hit => self.hits,
            Situation::Overtaken => self.overtaken,
            Situation::Join => self.joins,
            Situation::Bypass => self.bypasses,
            Situation::Contended => self.contended,
            Situation::Unknown => self.unknown,
            Situation::Stale => self.stale,
            Situation::Evicted => self.evicted,
        }
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            schedules: _,
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
            "{hits} hits, {overtaken} loads overtaken, {joins} joins, {bypasses} bypasses, \
             {contended} contended closes, {unknown} unknown, {stale} stale, {evicted} evicted"
        )
    }
}

/// The versions in the source, and the commits that may still land. Its steps are atomic; it yields
/// between them.
#[derive(Default)]
pub(super) struct Database {
    rows: Mutex<HashMap<u64, u64>>,
    landing: Mutex<Vec<oneshot::Receiver<()>>>,
    /// The changes of other processes, in the order of their commits.
    elsewhere: Mutex<Vec<Change>>,
}

/// A change that another process made.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Written(u64),
    /// The key of a log, and the sequence number of the new entry.
    Appended(u64, u64),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Yields once, or sometimes many times. A long pause of a load lets a write overtake it, which
/// takes many steps.
pub(super) async fn pause() {
    let steps = if thread_rng().gen_range(0..100) < 35 {
        thread_rng().gen_range(10..80)
    } else {
        1
    };
    for _ in 0..steps {
        yield_now().await;
    }
}

/// Yields a few times.
pub(super) async fn some_steps() {
    for _ in 0..thread_rng().gen_range(0..6) {
        yield_now().await;
    }
}

impl Database {
    pub(super) async fn read(&self, key: u64) -> u64 {
        yield_now().await;
        let version = locked(&self.rows).get(&key).copied().unwrap_or(0);
        pause().await;
        version
    }

    pub(super) fn commit(&self, key: u64) -> u64 {
        let mut rows = locked(&self.rows);
        let version = rows.entry(key).or_default();
        *version += 1;
        *version
    }

    /// Commits a write of another process and logs its change in one step.
    pub(super) fn commit_elsewhere(&self, key: u64, change: impl FnOnce(u64) -> Change) -> u64 {
        let version = self.commit(key);
        locked(&self.elsewhere).push(change(version));
        version
    }

    /// Returns the changes of other processes after the first `seen`.
    pub(super) fn changed_elsewhere(&self, seen: usize) -> Vec<Change> {
        locked(&self.elsewhere)[seen..].to_vec()
    }

    pub(super) async fn write(&self, keys: &[u64]) -> Vec<(u64, u64)> {
        pause().await;
        let versions = keys.iter().map(|key| (*key, self.commit(*key))).collect();
        pause().await;
        versions
    }
}

/// Returns the default policy of a region. A scenario may change it.
pub(crate) fn policy() -> Policy {
    Policy::new(TTL, 100)
}

/// The tag of the values that [`ScheduleWorld::tagged_reader`] reads.
const TAG: &str = "versions";

/// The settings of the cache of a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    /// How many loads may run at a time.
    pub(crate) loads: usize,
    /// The bound on how old values may be beside other processes, if there are any.
    pub(crate) others_write: Option<Duration>,
}

/// The cache, the source and the judge of a scenario.
#[derive(Clone)]
pub(crate) struct ScheduleWorld {
    pub(crate) manager: Manager,
    pub(crate) hand: ManualClock,
    pub(super) db: Arc<Database>,
    pub(crate) judge: Arc<Judge>,
    visits: &'static Mutex<Visits>,
    /// The tasks of the cache and of the source, which a schedule runs to their end.
    tasks: Tasks,
}

type Tasks = Arc<Mutex<Vec<JoinHandle<()>>>>;

pub(crate) type Numbers = Region<u64, u64>;

impl ScheduleWorld {
    /// Returns a world whose cache has these settings and this fault.
    pub(crate) fn new(fault: Fault, setting: Setting, visits: &'static Mutex<Visits>) -> Self {
        let (clock, hand) = Clock::manual();
        let judge = Arc::new(Judge::new(clock.clone()));
        let db = Arc::new(Database::default());
        let landing = db.clone();
        let settled = Unknown::settled_by(move || {
            let landing = landing.clone();
            async move {
                let landing = std::mem::take(&mut *locked(&landing.landing));
                for landed in landing {
                    drop(landed.await);
                }
                Ok(())
            }
        });
        let tasks = Tasks::default();
        let spawned = tasks.clone();
        let runtime = Runtime::new(clock, move |task| {
            // Before the list is locked: spawning is a step of the schedule.
            let task = spawn(task);
            locked(&spawned).push(task);
        });
        let long = Duration::from_secs(1 << 30);
        let mut builder = Manager::builder(runtime, settled)
            .load_timeout(long)
            .write_timeout(long)
            .permits(setting.loads, 256)
            .fault(fault);
        if let Some(bound) = setting.others_write {
            builder = builder.others_write(bound);
        }
        let manager = builder.build();
        Self {
            manager,
            hand,
            db,
            judge,
            visits,
            tasks,
        }
    }

    pub(crate) fn numbers(&self, policy: Policy) -> Numbers {
        self.manager.region("numbers", policy)
    }

    /// Waits for the remaining tasks.
    pub(crate) async fn drain(&self) {
        loop {
            let task = locked(&self.tasks).pop();
            let Some(task) = task else { return };
            task.await.unwrap_or_else(|error| panic!("{error:?}"));
        }
    }

    /// Checks the state of the cache, and counts the visited situations.
    pub(crate) fn count(&self) {
        self.manager.validate().unwrap();
        assert!(self.manager.is_quiet(), "something is left in progress");
        let mut visits = locked(self.visits);
        visits.schedules += 1;
        for RegionStats { stats, .. } in self.manager.stats() {
            visits.add(&Visits {
                schedules: 0,
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

    /// Reads and judges. Loads fail with a probability of `failing` percent.
    pub(crate) fn reader(
        &self,
        numbers: &Numbers,
        key: u64,
        times: usize,
        failing: u32,
    ) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = world.judge.begin(key);
                let db = world.db.clone();
                let load = move || async move {
                    let version = db.read(key).await;
                    if thread_rng().gen_range(0..100) < failing {
                        Err(fmt::Error)
                    } else {
                        Ok(Some(version).filter(|version| *version > 0))
                    }
                };
                match numbers.get_or_load(key, load).await {
                    Ok(read) => world.judge.end(bound, read.value.unwrap_or(0)),
                    Err(_) => assert!(failing > 0, "no load fails here"),
                }
            }
        })
    }

    /// Reads, keeps the version under a lease, and reads anew when the lease has ended.
    pub(crate) fn leaser(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let mut leased: Option<(Lease, u64)> = None;
            for _ in 0..times {
                let bound = world.judge.begin(key);
                if let Some((_, version)) = leased.filter(|(lease, _)| numbers.holds(lease)) {
                    world.judge.end(bound, version);
                    continue;
                }
                let lease = numbers.lease(&[key]);
                let db = world.db.clone();
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
                world.judge.end(bound, version);
                leased = lease.map(|lease| (lease, version));
            }
        })
    }

    /// Glances as a thread of its own, and reads when a glance finds nothing.
    pub(crate) fn glancer(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let front = numbers.front(Some);
            for _ in 0..times {
                let bound = world.judge.begin(key);
                let glance = front.glance(&key, |version| Some(*version));
                let db = world.db.clone();
                let load = move || async move {
                    Ok::<_, Infallible>(Some(db.read(key).await).filter(|version| *version > 0))
                };
                let read = match glance {
                    Some(read) => read,
                    None => numbers
                        .get_or_load(key, load)
                        .await
                        .unwrap_or_else(|error| panic!("{error}")),
                };
                world.judge.end(bound, read.value.unwrap_or(0));
                yield_now().await;
            }
        })
    }

    /// Reads `times` times, bypassing the cache, and judges each read. A read within a window may
    /// share a load of another reader, which may fail.
    pub(crate) fn bypasser(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = world.judge.begin(key);
                let db = world.db.clone();
                let load = move || async move { Ok::<_, Infallible>(Some(db.read(key).await)) };
                match numbers.bypass(key, load).await {
                    Ok(read) => world.judge.end(bound, read.value.unwrap_or(0)),
                    Err(error) => assert!(error.to_string() == fmt::Error.to_string()),
                }
            }
        })
    }

    /// Reads values that carry a tag, and judges each read.
    pub(crate) fn tagged_reader(
        &self,
        numbers: &Numbers,
        key: u64,
        times: usize,
    ) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                world.read_tagged(&numbers, key).await;
            }
        })
    }

    async fn read_tagged(&self, numbers: &Numbers, key: u64) {
        let bound = self.judge.begin(key);
        let db = self.db.clone();
        let load = move || async move {
            let version = db.read(key).await;
            Ok::<_, Infallible>(Some(Entry::new(version).tag(TAG)))
        };
        let read = numbers.request(key).load_entry(load).await;
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        self.judge.end(bound, read.value.unwrap_or(0));
    }

    /// Edits the source bypassing the cache, invalidates the tag by hand, and reads the edit.
    pub(crate) fn tag_editor(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            pause().await;
            let version = world.db.commit(key);
            world.manager.invalidate_tag(TAG);
            world.judge.acknowledged(key, version);
            world.read_tagged(&numbers, key).await;
        })
    }

    /// Writes a key under a guard that names its tag alone.
    pub(crate) fn tag_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        self.write_under(self.manager.guard().tag(numbers, TAG), key)
    }

    /// Looks values up and judges them, or else reads the source under a ticket.
    pub(crate) fn ticket_holder(
        &self,
        numbers: &Numbers,
        key: u64,
        times: usize,
    ) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = world.judge.begin(key);
                if let Some(read) = numbers.look_up(&key) {
                    world.judge.end(bound, read.value.unwrap_or(0));
                    continue;
                }
                let ticket = numbers.begin(key);
                ticket.finish(world.db.read(key).await);
            }
        })
    }

    /// Reads keys in batches, and judges each value.
    pub(crate) fn batch_reader(
        &self,
        numbers: &Numbers,
        keys: &'static [u64],
        times: usize,
    ) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let bounds: Vec<_> = keys.iter().map(|key| world.judge.begin(*key)).collect();
                let db = world.db.clone();
                let load = move |keys: Vec<u64>| async move {
                    let mut rows = Vec::new();
                    for key in keys {
                        rows.push((key, db.read(key).await));
                    }
                    Ok::<_, Infallible>(rows)
                };
                let reads = numbers.get_or_load_many(keys, load).await;
                let reads = reads.unwrap_or_else(|error| panic!("{error}"));
                for (bound, read) in bounds.into_iter().zip(reads) {
                    world.judge.end(bound, read.value.unwrap_or(0));
                }
            }
        })
    }

    /// Writes all keys in one transaction and stores the rows.
    pub(crate) fn writer(&self, numbers: &Numbers, keys: &'static [u64]) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let db = world.db.clone();
            let write = async move { Written::<_, Infallible>::Committed(db.write(keys).await) };
            let guard = (0..keys.len()).fold(world.manager.guard(), |guard, index| {
                let row = move |rows: &Vec<(u64, u64)>| Some(rows[index].1);
                guard.key_storing(&numbers, keys[index], row)
            });
            for (key, version) in guard
                .run(write)
                .await
                .unwrap_or_else(|error| panic!("{error:?}"))
            {
                world.judge.acknowledged(key, version);
            }
        })
    }

    /// Writes, and drops the caller after some steps.
    pub(crate) fn cancelled_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let db = world.db.clone();
            let write =
                async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
            let written = world.manager.guard().key(&numbers, key).run(write).boxed();
            if let Either::Left((Ok(version), _)) = select(written, some_steps().boxed()).await {
                world.judge.acknowledged(key, version);
            }
        })
    }

    /// Runs a write that is not applied.
    pub(crate) fn refused_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let write = async {
                yield_now().await;
                Written::<(), _>::NotApplied("refused")
            };
            let refused = world.manager.guard().key(&numbers, key).run(write).await;
            assert_eq!(refused, Err(WriteError::NotApplied("refused")));
        })
    }

    /// Lets a commit land later, or never.
    fn lose(&self, key: u64) {
        locked(self.visits).unknown += 1;
        let (landed, landing) = oneshot::channel();
        locked(&self.db.landing).push(landing);
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

    /// Runs a write of unknown outcome.
    pub(crate) fn lost_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        self.lost(self.manager.guard().key(numbers, key), key)
    }

    pub(super) fn lost(&self, guard: WriteGuard<()>, key: u64) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            let write = async move {
                yield_now().await;
                world.lose(key);
                Written::<(), _>::Unknown("lost")
            };
            assert_eq!(guard.run(write).await, Err(WriteError::Unknown("lost")));
        })
    }

    /// Creates a key that its guard does not name.
    pub(crate) fn creator(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        self.write_under(self.manager.guard().creating(numbers), key)
    }

    /// Edits the source bypassing the cache, and then clears the cache by hand.
    pub(crate) fn editor(&self, key: u64) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            pause().await;
            let version = world.db.commit(key);
            world.manager.clear();
            world.judge.acknowledged(key, version);
        })
    }

    /// Adds one to a version under an upsert.
    pub(crate) fn upserter(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            let (db, judge) = (world.db.clone(), world.judge.clone());
            let write = move |current: Option<u64>| async move {
                // The window is open. So the value in memory is as new as the last write.
                if let Some(current) = current {
                    judge.end(judge.begin(key), current);
                }
                Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1)
            };
            let version = world.manager.upsert(&numbers, key, write).await;
            let version = version.unwrap_or_else(|error| panic!("{error:?}"));
            world.judge.acknowledged(key, version);
        })
    }

    /// Reads three times through the cache, without judging the reads.
    pub(crate) fn warmer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..3 {
                let db = world.db.clone();
                let load = move || async move { Ok::<_, Infallible>(Some(db.read(key).await)) };
                numbers
                    .get_or_load(key, load)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        })
    }

    /// Advances the clock twice.
    pub(crate) fn time(&self, step: Duration) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            for _ in 0..2 {
                yield_now().await;
                world.hand.advance(step);
            }
        })
    }

    /// Writes a key under a window over every key below 2.
    pub(crate) fn recognizing_writer(&self, numbers: &Numbers, key: u64) -> JoinHandle<()> {
        let guard = self.manager.guard().keys_where(numbers, |key| *key < 2);
        self.write_under(guard, key)
    }

    pub(super) fn write_under(&self, guard: WriteGuard<u64>, key: u64) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            let db = world.db.clone();
            let write =
                async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
            let version = guard
                .run(write)
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            world.judge.acknowledged(key, version);
        })
    }

    /// Reads, and drops each read after some steps.
    pub(crate) fn dropping_reader(
        &self,
        numbers: &Numbers,
        key: u64,
        times: usize,
    ) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                let db = world.db.clone();
                let load = move || async move { Ok::<_, Infallible>(Some(db.read(key).await)) };
                let read = numbers.get_or_load(key, load).boxed();
                drop(select(read, some_steps().boxed()).await);
            }
        })
    }
}
