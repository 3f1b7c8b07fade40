//! Threads that glance as fast as they can, beside writes, appends, evictions, refreshes and bulk
//! removals: none returns less than an acknowledged write, or than another reader saw before.
//!
//! Two seconds of it are an ordinary test. With the variable `GREENROOM_PROOF` it takes a minute,
//! in an optimized build some hundred million glances.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

#[cfg(feature = "faults")]
use cache_core::Fault;
use cache_core::{
    Builder, Fold, Front, Manager, Policy, Region, Runtime, TailFront, TailRegion, Unknown, Written,
};

const TTL: Duration = Duration::from_secs(60);
/// More keys than the region has entries, so that entries are evicted.
const ROWS: usize = 4;
const KEYS: u64 = ROWS as u64;
const CAPACITY: u64 = 3;
const LOG: u64 = 1;

/// A copy of the end of a log that holds only its highest sequence number.
struct Head(u64);

impl Fold for Head {
    type Entry = ();

    fn apply(&mut self, seq: u64, (): &()) {
        self.0 = seq;
    }
}

/// The version of one row in the source, and the least version that a reader may return.
#[derive(Default)]
struct Versions {
    stored: AtomicU64,
    /// The newest version that was acknowledged or returned.
    known: AtomicU64,
}

/// The number of glances that found something, and of those that returned too little.
#[derive(Debug, Default)]
struct Judged {
    glances: AtomicU64,
    too_old: AtomicU64,
}

impl Judged {
    fn judge(&self, versions: &Versions, read: impl FnOnce() -> Option<u64>) {
        let known = versions.known.load(SeqCst);
        let Some(version) = read() else { return };
        self.glances.fetch_add(1, SeqCst);
        if version < known {
            self.too_old.fetch_add(1, SeqCst);
        }
        versions.known.fetch_max(version, SeqCst);
    }
}

struct Stress {
    manager: Manager,
    numbers: Region<u64, Arc<u64>>,
    logs: TailRegion<u64, Head>,
    front: Front<u64, Arc<u64>, u64>,
    ends: TailFront<u64, Head, u64>,
    rows: Arc<[Versions; ROWS]>,
    log: Arc<Versions>,
    judged: Judged,
    is_over: AtomicBool,
}

impl Stress {
    fn new(manager: Manager) -> Self {
        let numbers: Region<u64, Arc<u64>> = manager.region("numbers", Policy::new(TTL, CAPACITY));
        let logs = manager.tail_region("logs", Policy::new(TTL, 100), 1);
        Self {
            front: numbers.front(|version| Some(*version)),
            ends: logs.front(|head: &Head| Some(head.0)),
            manager,
            numbers,
            logs,
            rows: Arc::default(),
            log: Arc::default(),
            judged: Judged::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Glances until the time is over.
    fn glance(&self) {
        let mut key = 0;
        while !self.is_over.load(SeqCst) {
            key = (key + 1) % KEYS;
            self.judged.judge(&self.rows[index(key)], || {
                self.front.glance(&key, |version| Some(*version))?.value
            });
            self.judged.judge(&self.log, || {
                self.ends.glance(&LOG, |seq| Some(*seq))?.value
            });
        }
    }

    /// Writes, reads and removes until the time is over.
    async fn change(&self, time: Duration) {
        let began = Instant::now();
        let mut round = 0_u64;
        while began.elapsed() < time {
            round += 1;
            let key = round % KEYS;
            self.write(key, !round.is_multiple_of(3)).await;
            self.read(key).await;
            self.append().await;
            self.read_log().await;
            if round.is_multiple_of(50) {
                self.manager.clear_region("numbers");
            }
            if round.is_multiple_of(70) {
                self.manager.clear_region("logs");
            }
        }
        self.is_over.store(true, SeqCst);
    }

    async fn write(&self, key: u64, is_stored: bool) {
        let rows = self.rows.clone();
        let write = async move {
            let version = rows[index(key)].stored.fetch_add(1, SeqCst) + 1;
            Written::<_, Infallible>::Committed(version)
        };
        let row = move |version: &u64| is_stored.then(|| Arc::new(*version));
        let guard = self.manager.guard().key_storing(&self.numbers, key, row);
        let version = guard.run(write).await.unwrap();
        self.rows[index(key)].known.fetch_max(version, SeqCst);
    }

    async fn read(&self, key: u64) {
        let rows = self.rows.clone();
        let load = move || async move {
            let version = rows[index(key)].stored.load(SeqCst);
            Ok::<_, Infallible>(Some(Arc::new(version)))
        };
        let read = self.numbers.get_or_load(key, load).await.unwrap();
        let version = *read.value.unwrap();
        self.rows[index(key)].known.fetch_max(version, SeqCst);
    }

    async fn append(&self) {
        let log = self.log.clone();
        let write =
            async move { Written::<_, Infallible>::Committed(log.stored.fetch_add(1, SeqCst) + 1) };
        let guard = self
            .manager
            .guard()
            .append(&self.logs, LOG, |seq| [(*seq, ())]);
        let seq = guard.run(write).await.unwrap();
        self.log.known.fetch_max(seq, SeqCst);
    }

    async fn read_log(&self) {
        let log = self.log.clone();
        let fill = move || async move {
            let seq = log.stored.load(SeqCst);
            Ok::<_, Infallible>(Some((seq, Head(seq))))
        };
        self.logs
            .get_or_fill(LOG, fill, |head| Some(head.0))
            .await
            .unwrap();
    }
}

fn index(key: u64) -> usize {
    usize::try_from(key).unwrap()
}

/// Returns the number of glances, and of those that returned too little.
fn stress(build: impl FnOnce(Builder) -> Manager, time: Duration) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let entered = runtime.enter();
    let stress = Stress::new(build(Manager::builder(Runtime::tokio(), Unknown::Never)));
    drop(entered);
    thread::scope(|scope| {
        scope.spawn(|| stress.glance());
        scope.spawn(|| stress.glance());
        runtime.block_on(stress.change(time));
    });
    assert!(stress.numbers.stats().evicted_by_capacity > 0);
    let Judged { glances, too_old } = stress.judged;
    (glances.into_inner(), too_old.into_inner())
}

fn seconds(proof: u64) -> Duration {
    let is_proof = std::env::var_os("GREENROOM_PROOF").is_some();
    Duration::from_secs(if is_proof { proof } else { 2 })
}

#[test]
fn no_glance_is_older_than_what_was_acknowledged_or_seen() {
    let (glances, too_old) = stress(Builder::build, seconds(60));
    println!("{glances} glances, {too_old} too old");
    assert!(glances > 100_000, "{glances} glances");
    assert_eq!(too_old, 0, "of {glances} glances");
}

/// The judge finds what it should.
#[cfg(feature = "faults")]
#[test]
fn glances_that_outlive_changes_are_found() {
    let build = |builder: Builder| builder.fault(Fault::ChangesUncounted).build();
    let (glances, too_old) = stress(build, seconds(10));
    println!("{glances} glances, {too_old} too old");
    assert!(too_old > 0, "of {glances} glances");
}
