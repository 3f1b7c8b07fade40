//! The ends of logs in scenarios: their copies, the tasks that read and write them, and the
//! scenarios themselves.

use std::{convert::Infallible, time::Duration};

use cache_core::{Fold, Policy, TailRead, TailRegion, Written};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use crate::{
    scenarios::all,
    world::{ScheduleWorld, TTL, pause, policy, some_steps},
};

/// A copy of the end of a log. Of the log, it holds only the head, the highest sequence number.
pub(super) struct Head {
    seq: u64,
    is_weighed: bool,
}

impl Fold for Head {
    type Entry = ();

    fn apply(&mut self, seq: u64, (): &()) {
        assert_eq!(seq, self.seq + 1, "applied over a gap");
        self.seq = seq;
    }

    /// The number of entries, or 1.
    fn weight(&self) -> u32 {
        if self.is_weighed {
            u32::try_from(self.seq).expect("a short log")
        } else {
            1
        }
    }
}

/// A region of the ends of logs.
#[derive(Clone)]
pub(crate) struct Logs {
    pub(super) region: TailRegion<u64, Head>,
    /// Each weighs as much as it has entries: an append puts it back with another weight.
    are_weighed: bool,
}

impl ScheduleWorld {
    pub(crate) fn logs(&self, policy: Policy) -> Logs {
        Logs {
            region: self.manager.tail_region("logs", policy, 1),
            are_weighed: false,
        }
    }

    pub(crate) fn weighed_logs(&self) -> Logs {
        let policy = Policy::new(TTL, 1_000).max_weight(100);
        let region = self.manager.tail_region_builder("logs", policy, 1);
        Logs {
            region: region.printed_keys().build(),
            are_weighed: true,
        }
    }

    /// Edits the source bypassing the cache, and then removes what the cache has of the log, in one
    /// of the ways in which many keys are removed at once.
    pub(crate) fn bulk_editor(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            pause().await;
            let version = world.db.commit(key);
            match thread_rng().gen_range(0..5) {
                0 => drop(world.manager.invalidate_prefix("logs:1")),
                1 => drop(world.manager.invalidate_glob("logs:*")),
                2 => drop(logs.region.region().remove_where(|key| *key < 2)),
                3 => drop(world.manager.clear_region("logs")),
                _ => {
                    assert!(world.manager.set_enabled("logs", false));
                    some_steps().await;
                    assert!(world.manager.set_enabled("logs", true));
                }
            }
            world.judge.acknowledged(key, version);
        })
    }

    /// Reads the end of a log, bypassing the cache with a probability of `bypassing` percent.
    pub(crate) fn log_reader(
        &self,
        logs: &Logs,
        key: u64,
        times: usize,
        bypassing: u32,
    ) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for _ in 0..times {
                let bound = world.judge.begin(key);
                let head = if thread_rng().gen_range(0..100) < bypassing {
                    None
                } else {
                    world.read_log(&logs, key).await
                };
                let head = if let Some(head) = head {
                    head
                } else {
                    let head = world.db.read(key).await;
                    logs.region.saw(&key, head);
                    head
                };
                world.judge.end(bound, head);
            }
        })
    }

    /// Glances at the end of a log as a thread of its own, and reads when a glance finds nothing.
    pub(crate) fn log_glancer(&self, logs: &Logs, key: u64, times: usize) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            let front = logs.region.front(|head: &Head| Some(head.seq));
            for _ in 0..times {
                let bound = world.judge.begin(key);
                let glance = front
                    .glance(&key, |seq| Some(*seq))
                    .and_then(|read| read.value);
                let head = match glance {
                    Some(head) => Some(head),
                    None => world.read_log(&logs, key).await,
                };
                if let Some(head) = head {
                    world.judge.end(bound, head);
                }
                yield_now().await;
            }
        })
    }

    async fn read_log(&self, logs: &Logs, key: u64) -> Option<u64> {
        if let Some(read) = logs.region.look_up(&key, |head| Some(head.seq)) {
            return read.value;
        }
        let (db, is_weighed) = (self.db.clone(), logs.are_weighed);
        let load = move || async move {
            let seq = db.read(key).await;
            Ok::<_, Infallible>(Some((seq, Head { seq, is_weighed })))
        };
        match logs
            .region
            .get_or_fill(key, load, |head| Some(head.seq))
            .await
            .unwrap_or_else(|error| panic!("{error}"))
        {
            TailRead::Found(read) => read.value,
            TailRead::Absent(_) | TailRead::Elsewhere => None,
        }
    }

    pub(crate) fn appender(&self, logs: &Logs, key: u64, times: usize) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for _ in 0..times {
                let db = world.db.clone();
                let write =
                    async move { Written::<_, Infallible>::Committed(db.write(&[key]).await[0].1) };
                let entry = |seq: &u64| [(*seq, ())];
                let guard = world.manager.guard().append(&logs.region, key, entry);
                let seq = guard.run(write).await;
                world
                    .judge
                    .acknowledged(key, seq.unwrap_or_else(|error| panic!("{error:?}")));
            }
        })
    }

    pub(crate) fn lost_appender(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        let guard = self.manager.guard();
        self.lost(guard.append(&logs.region, key, |()| None), key)
    }

    /// Clears a log, which takes a sequence number, under a window.
    pub(crate) fn clearer(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        self.write_under(self.manager.guard().key(logs.region.region(), key), key)
    }

    /// Clears a log under a window over all logs.
    pub(crate) fn region_clearer(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        self.write_under(self.manager.guard().region(logs.region.region()), key)
    }

    /// Writes a log under a window over every key below 2.
    pub(crate) fn recognizing_log_writer(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        let guard = self.manager.guard();
        let guard = guard.keys_where(logs.region.region(), |key| *key < 2);
        self.write_under(guard, key)
    }

    /// Reads a log several times. The reads are not judged.
    pub(crate) fn log_warmer(&self, logs: &Logs, key: u64) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for _ in 0..3 {
                world.read_log(&logs, key).await;
            }
        })
    }

    /// Reads other logs, so that the first is evicted.
    pub(crate) fn evictor(&self, logs: &Logs, keys: std::ops::Range<u64>) -> JoinHandle<()> {
        let (world, logs) = (self.clone(), logs.clone());
        spawn(async move {
            for key in keys {
                world.read_log(&logs, key).await;
            }
        })
    }
}

pub(super) async fn tail(s: ScheduleWorld) {
    let l = s.logs(policy());
    all([
        s.log_reader(&l, 1, 3, 0),
        s.log_reader(&l, 1, 2, 0),
        s.log_reader(&l, 1, 2, 100),
        s.appender(&l, 1, 2),
        s.appender(&l, 1, 1),
    ])
    .await;
}

pub(super) async fn filled_tail(s: ScheduleWorld) {
    let l = s.logs(policy());
    all([
        s.log_reader(&l, 1, 3, 0),
        s.log_reader(&l, 1, 3, 100),
        s.log_reader(&l, 1, 2, 50),
        s.appender(&l, 1, 1),
    ])
    .await;
}

pub(super) async fn evicted_tail(s: ScheduleWorld) {
    let l = s.logs(Policy::new(TTL, 1));
    let readers = [s.log_reader(&l, 1, 3, 20), s.log_reader(&l, 1, 3, 20)];
    all(readers.into_iter().chain([
        s.appender(&l, 1, 2),
        s.evictor(&l, 2..5),
        s.time(TTL + Duration::from_secs(1)),
    ]))
    .await;
}

pub(super) async fn tail_glances(s: ScheduleWorld) {
    let l = s.logs(policy());
    all([s.log_reader(&l, 1, 1, 0)]).await;
    all([
        s.log_glancer(&l, 1, 6),
        s.log_glancer(&l, 1, 6),
        s.log_reader(&l, 1, 3, 0),
        s.appender(&l, 1, 2),
    ])
    .await;
}

/// A reader of the source may see an entry before it is appended to the copy.
pub(super) async fn tail_glances_and_bypasses(s: ScheduleWorld) {
    let l = s.logs(policy());
    all([s.log_reader(&l, 1, 1, 0)]).await;
    all([
        s.log_glancer(&l, 1, 6),
        s.log_reader(&l, 1, 3, 100),
        s.log_reader(&l, 1, 2, 50),
        s.appender(&l, 1, 2),
        s.clearer(&l, 1),
    ])
    .await;
}

/// The edit from outside takes a sequence number, of which no append knows.
pub(super) async fn cleared_tail(s: ScheduleWorld) {
    let l = s.weighed_logs();
    all([
        s.editor(1),
        s.appender(&l, 1, 2),
        s.log_warmer(&l, 1),
        s.log_warmer(&l, 1),
    ])
    .await;
    all([s.log_reader(&l, 1, 1, 0)]).await;
}

pub(super) async fn guarded_tail(s: ScheduleWorld) {
    let l = s.weighed_logs();
    let readers = [s.log_reader(&l, 1, 3, 0), s.log_reader(&l, 1, 2, 20)];
    all(readers
        .into_iter()
        .chain([s.appender(&l, 1, 2), s.region_clearer(&l, 1)]))
    .await;
    all([s.log_reader(&l, 1, 1, 0)]).await;
}

pub(super) async fn tail_and_removals(s: ScheduleWorld) {
    let l = s.weighed_logs();
    all([
        s.bulk_editor(&l, 1),
        s.appender(&l, 1, 2),
        s.log_warmer(&l, 1),
        s.log_warmer(&l, 1),
    ])
    .await;
    all([s.log_reader(&l, 1, 1, 0)]).await;
}

pub(super) async fn tail_and_recognized_keys(s: ScheduleWorld) {
    let l = s.weighed_logs();
    let readers = [s.log_reader(&l, 1, 3, 0), s.log_reader(&l, 1, 2, 20)];
    all(readers
        .into_iter()
        .chain([s.appender(&l, 1, 2), s.recognizing_log_writer(&l, 1)]))
    .await;
    all([s.log_reader(&l, 1, 1, 0)]).await;
}

pub(super) async fn tail_and_windows(s: ScheduleWorld) {
    let l = s.logs(policy());
    let readers = [s.log_reader(&l, 1, 3, 20), s.log_reader(&l, 1, 3, 20)];
    all(readers.into_iter().chain([
        s.appender(&l, 1, 2),
        s.clearer(&l, 1),
        s.lost_appender(&l, 1),
    ]))
    .await;
    all([s.log_reader(&l, 1, 2, 0)]).await;
}
