//! Scenarios with other processes that write, and a task that reports their changes.

use std::time::Duration;

use shuttle::{
    future::{JoinHandle, spawn},
    rand::{Rng, thread_rng},
};

use crate::{
    logs::Logs,
    scenarios::all,
    world::{Change, Numbers, ScheduleWorld, pause, policy},
};

/// How much older than writes of other processes a value may be.
pub(crate) const BOUND: Duration = Duration::from_secs(10);
/// A step of the clock. Two of them are longer than the bound.
const STEP: Duration = Duration::from_secs(6);

impl ScheduleWorld {
    /// Writes a key several times as another process.
    fn writer_elsewhere(&self, key: u64, times: usize) -> JoinHandle<()> {
        self.elsewhere(key, times, move |_| Change::Written(key))
    }

    /// Appends to a log several times as another process. Some entries are reported as a change of
    /// the whole log.
    fn appender_elsewhere(&self, key: u64, times: usize) -> JoinHandle<()> {
        self.elsewhere(key, times, move |seq| {
            if thread_rng().gen_bool(0.2) {
                Change::Written(key)
            } else {
                Change::Appended(key, seq)
            }
        })
    }

    fn elsewhere(
        &self,
        key: u64,
        times: usize,
        change: impl Fn(u64) -> Change + Send + 'static,
    ) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            for _ in 0..times {
                pause().await;
                let version = world.db.commit_elsewhere(key, &change);
                world.judge.elsewhere(key, version, BOUND);
            }
        })
    }

    /// Asks several times for the changes of other processes, and reports them. Sometimes
    /// the changes do not arrive, or the cache is cleared instead.
    fn reporter(&self, times: usize, report: impl Fn(Change) + Send + 'static) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            let mut seen = 0;
            for _ in 0..times {
                let sent = world.manager.clock().now();
                pause().await;
                let changes = world.db.changed_elsewhere(seen);
                pause().await;
                match thread_rng().gen_range(0..10) {
                    0 => continue,
                    1 => world.manager.begin_anew(),
                    _ => changes.iter().copied().for_each(&report),
                }
                seen += changes.len();
                world.manager.renew(sent);
                pause().await;
            }
        })
    }

    /// Reads several times, and pauses before each read.
    fn slow_reader(&self, numbers: &Numbers, key: u64, times: usize) -> JoinHandle<()> {
        let (world, numbers) = (self.clone(), numbers.clone());
        spawn(async move {
            for _ in 0..times {
                pause().await;
                all([world.reader(&numbers, key, 1, 0)]).await;
            }
        })
    }

    /// Advances the clock several times, and pauses before each step.
    fn slow_time(&self, steps: usize) -> JoinHandle<()> {
        let world = self.clone();
        spawn(async move {
            for _ in 0..steps {
                pause().await;
                world.hand.advance(STEP);
            }
        })
    }

    fn number_reporter(&self, numbers: &Numbers, times: usize) -> JoinHandle<()> {
        let numbers = numbers.clone();
        self.reporter(times, move |change| {
            let (Change::Written(key) | Change::Appended(key, _)) = change;
            numbers.changed_elsewhere(&key);
        })
    }

    fn log_reporter(&self, logs: &Logs, times: usize) -> JoinHandle<()> {
        let logs = logs.region.clone();
        self.reporter(times, move |change| match change {
            Change::Written(key) => logs.region().changed_elsewhere(&key),
            Change::Appended(key, seq) if logs.has_copy(&key) => {
                logs.appended_elsewhere(&key, seq, ());
            }
            Change::Appended(..) => {}
        })
    }
}

pub(crate) async fn others(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.number_reporter(&n, 1)]).await;
    all([
        s.slow_reader(&n, 1, 6),
        s.slow_reader(&n, 1, 6),
        s.glancer(&n, 1, 4),
        s.leaser(&n, 1, 3),
        s.writer_elsewhere(1, 3),
        s.number_reporter(&n, 5),
        s.slow_time(4),
    ])
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

pub(crate) async fn others_and_writes(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([s.number_reporter(&n, 1)]).await;
    all([
        s.reader(&n, 1, 3, 0),
        s.reader(&n, 1, 2, 0),
        s.bypasser(&n, 1, 2),
        s.writer(&n, &[1]),
        s.upserter(&n, 1),
        s.writer_elsewhere(1, 2),
        s.number_reporter(&n, 4),
        s.slow_time(2),
    ])
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

/// Time stands still, so every value is young enough to be served.
pub(crate) async fn others_and_bypasses(s: ScheduleWorld) {
    let n = s.numbers(policy());
    all([
        s.slow_reader(&n, 1, 4),
        s.slow_reader(&n, 1, 4),
        s.bypasser(&n, 1, 4),
        s.bypasser(&n, 1, 3),
        s.writer(&n, &[1]),
        s.writer(&n, &[1]),
        s.writer_elsewhere(1, 3),
        s.number_reporter(&n, 1),
    ])
    .await;
    all([s.reader(&n, 1, 2, 0)]).await;
}

pub(crate) async fn others_at_a_log(s: ScheduleWorld) {
    let l = s.logs(policy());
    all([s.log_reporter(&l, 1)]).await;
    all([
        s.log_reader(&l, 1, 3, 0),
        s.log_reader(&l, 1, 2, 30),
        s.log_glancer(&l, 1, 3),
        s.appender(&l, 1, 2),
        s.appender_elsewhere(1, 2),
        s.log_reporter(&l, 4),
        s.slow_time(2),
    ])
    .await;
    all([s.log_reader(&l, 1, 2, 0)]).await;
}
