//! A cache of trapped keys, values and logs, and its source.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use cache_core::{Policy, Read, Region, TailRead, TailRegion, Unknown, Written};
use futures_util::FutureExt;

use super::trap::{Code, Trap, TrappedCopy, TrappedEntry, TrappedKey, TrappedValue};
use crate::support::*;

/// Added to the key of a log to name its row in the source, whose version is the log's head.
pub(super) const LOGS: u64 = 20;

/// Rows 1 and 2 and log 1 are in memory.
pub(super) struct World {
    pub(super) cache: Fixture,
    pub(super) rows: Region<TrappedKey, TrappedValue>,
    /// Holds one row.
    pub(super) few: Region<TrappedKey, TrappedValue>,
    pub(super) logs: TailRegion<TrappedKey, TrappedCopy>,
    pub(super) trap: Trap,
    /// The versions in the source, each 1 until it is written.
    source: Arc<Mutex<BTreeMap<u64, u64>>>,
}

impl World {
    pub(super) async fn new() -> Arc<Self> {
        Self::with(Unknown::settled_by(|| async { Ok(()) })).await
    }

    pub(super) async fn with(settled: Unknown) -> Arc<Self> {
        let cache = fixture_of(Policy::new(TTL, 1_000), settled, |builder| builder);
        let trap = Trap::default();
        let policy = Policy::new(TTL, 1_000).refresh_after(0.5);
        let weigh = |trap: &Trap| {
            let trap = trap.clone();
            move |_: &TrappedKey, _: &TrappedValue| {
                trap.step(Code::Weigher);
                1
            }
        };
        let few = Policy::new(TTL, 1);
        let world = Arc::new(Self {
            rows: cache
                .manager
                .region_builder("rows", policy.clone())
                .weigher(1, weigh(&trap))
                .build(),
            few: cache
                .manager
                .region_builder("few", few)
                .weigher(1, weigh(&trap))
                .build(),
            logs: cache.manager.tail_region("logs", policy, 1),
            cache,
            trap,
            source: Arc::default(),
        });
        for number in [1, 2] {
            world.read(number).await.unwrap();
        }
        world.read_log(1).await.unwrap();
        world
    }

    pub(super) fn key(&self, number: u64) -> TrappedKey {
        TrappedKey {
            number,
            trap: self.trap.clone(),
        }
    }

    pub(super) fn value(&self, version: u64) -> TrappedValue {
        TrappedValue {
            version,
            trap: self.trap.clone(),
        }
    }

    pub(super) fn version(&self, row: u64) -> u64 {
        self.source.lock().unwrap().get(&row).copied().unwrap_or(1)
    }

    pub(super) fn log_version(&self, number: u64) -> u64 {
        self.version(LOGS + number)
    }

    pub(super) fn commit(&self, row: u64) -> u64 {
        let version = self.version(row) + 1;
        self.source.lock().unwrap().insert(row, version);
        version
    }

    pub(super) fn load(
        self: &Arc<Self>,
        number: u64,
    ) -> impl Future<Output = Result<Option<TrappedValue>, Down>> + Send + use<> {
        let world = self.clone();
        async move {
            tokio::task::yield_now().await;
            world.trap.step(Code::Loader);
            Ok(Some(world.value(world.version(number))))
        }
    }

    pub(super) fn load_many(
        self: &Arc<Self>,
    ) -> impl FnOnce(Vec<TrappedKey>) -> Rows + Send + 'static + use<> {
        let world = self.clone();
        move |keys| {
            async move {
                tokio::task::yield_now().await;
                world.trap.step(Code::Loader);
                let row = |key: TrappedKey| {
                    let value = world.value(world.version(key.number));
                    (key, value)
                };
                Ok(keys.into_iter().map(row).collect())
            }
            .boxed()
        }
    }

    pub(super) async fn read(self: &Arc<Self>, number: u64) -> Result<u64, ReadError> {
        let load = self.load(number);
        let read = self.rows.get_or_load(self.key(number), || load).await?;
        Ok(read.value.expect("every row exists").version)
    }

    pub(super) async fn read_log(self: &Arc<Self>, number: u64) -> Result<u64, ReadError> {
        let key = self.key(number);
        let world = self.clone();
        let load = move || async move {
            tokio::task::yield_now().await;
            world.trap.step(Code::Loader);
            let head = world.log_version(number);
            tokio::task::yield_now().await;
            let trap = world.trap.clone();
            let seqs = (1..=head).collect();
            Ok::<_, Down>(Some((head, TrappedCopy { seqs, trap })))
        };
        let last = |copy: &TrappedCopy| copy.seqs.last().copied();
        match self.logs.get_or_fill(key, load, last).await? {
            TailRead::Found(Read { value, .. }) => Ok(value.expect("no log is empty")),
            TailRead::Absent(_) => panic!("every log exists"),
            TailRead::Elsewhere => {
                let head = self.log_version(number);
                self.logs.saw(&self.key(number), head);
                Ok(head)
            }
        }
    }

    /// Reads a row and a log. Neither may be older than the source when the read began.
    pub(super) async fn read_both(self: Arc<Self>, number: u64) {
        let floor = self.version(number);
        if let Ok(version) = self.read(number).await {
            assert!(version >= floor, "an old row");
        }
        let floor = self.log_version(number);
        if let Ok(head) = self.read_log(number).await {
            assert!(head >= floor, "an old log");
        }
    }

    /// Returns the version of a row, or the head of a log, that is in memory.
    pub(super) fn in_memory(&self) -> [Option<u64>; 2] {
        let row = self.rows.get(&self.key(1)).map(|row| row.version);
        let last = |copy: &TrappedCopy| copy.seqs.last().copied();
        let log = self.logs.look_up(&self.key(1), last);
        [row, log.and_then(|read| read.value)]
    }

    pub(super) async fn write(
        self: Arc<Self>,
        row: u64,
        outcome: impl FnOnce(u64) -> Written<u64, Down> + Send + 'static,
    ) -> Written<u64, Down> {
        tokio::task::yield_now().await;
        let version = self.commit(row);
        self.trap.step(Code::Write);
        tokio::task::yield_now().await;
        outcome(version)
    }

    /// Returns the row that a write names which has committed this version.
    pub(super) fn row(
        self: &Arc<Self>,
    ) -> impl FnOnce(&u64) -> Option<TrappedValue> + Send + 'static + use<> {
        let world = self.clone();
        move |version| {
            world.trap.step(Code::Naming);
            Some(world.value(*version))
        }
    }

    /// Returns the entry that a write names which has committed this version of a log.
    pub(super) fn entry(
        self: &Arc<Self>,
    ) -> impl FnOnce(&u64) -> [(u64, TrappedEntry); 1] + Send + 'static + use<> {
        let world = self.clone();
        move |seq| {
            world.trap.step(Code::Naming);
            [(*seq, TrappedEntry(world.trap.clone()))]
        }
    }
}

type Rows = futures_util::future::BoxFuture<'static, Result<Vec<(TrappedKey, TrappedValue)>, Down>>;
