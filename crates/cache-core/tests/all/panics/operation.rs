//! The operations of the cache during which a test lets user code panic.

use std::sync::Arc;

use cache_core::{Entry, Written};
use futures_util::{FutureExt, future::BoxFuture};

use super::{
    trap::{Code, TrappedKey},
    world::{LOGS, World},
};
use crate::support::*;

/// The tag of some values.
const TAG: &str = "rows";

/// An operation of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Hit,
    Miss,
    Batch,
    Refresh,
    Bypass,
    BypassBatch,
    ReadInWindow,
    Insert,
    Remove,
    WriteStoring,
    WriteManyKeys,
    WriteRegion,
    WriteRecognizedKeys,
    WriteRefused,
    WriteLost,
    Evict,
    Expire,
    Clear,
    SwitchOffAndOn,
    ReadTagged,
    ReadBlocking,
    BatchInWindow,
    Ticket,
    InvalidateTag,
    WriteTag,
    Upsert,
    FillLog,
    Append,
    AppendDuringFill,
    AppendLost,
    ClearLog,
}

impl Operation {
    pub(super) const READS: [Self; 11] = [
        Self::ReadTagged,
        Self::ReadBlocking,
        Self::BatchInWindow,
        Self::Hit,
        Self::Miss,
        Self::Batch,
        Self::Refresh,
        Self::Bypass,
        Self::BypassBatch,
        Self::ReadInWindow,
        Self::FillLog,
    ];
    pub(super) const CHANGES: [Self; 9] = [
        Self::Ticket,
        Self::InvalidateTag,
        Self::Insert,
        Self::Remove,
        Self::Evict,
        Self::Expire,
        Self::Clear,
        Self::SwitchOffAndOn,
        Self::AppendDuringFill,
    ];
    pub(super) const WRITES: [Self; 11] = [
        Self::WriteTag,
        Self::Upsert,
        Self::WriteStoring,
        Self::WriteManyKeys,
        Self::WriteRegion,
        Self::WriteRecognizedKeys,
        Self::WriteRefused,
        Self::WriteLost,
        Self::Append,
        Self::AppendLost,
        Self::ClearLog,
    ];
}

/// Running an operation.
impl World {
    /// Runs an operation. Its result does not matter.
    pub(super) async fn run(self: Arc<Self>, operation: Operation) {
        match operation {
            Operation::Hit => drop(self.rows.look_up(&self.key(1))),
            Operation::Miss => drop(self.read(3).await),
            Operation::Insert => drop(self.rows.insert(self.key(4), self.value(1))),
            Operation::Remove => drop(self.rows.remove(&self.key(1))),
            Operation::Refresh => {
                self.cache.hand.advance(TTL / 2);
                drop(self.read(1).await);
            }
            Operation::Batch => {
                let keys = [3, 1, 4, 5].map(|number| self.key(number));
                drop(self.rows.get_or_load_many(&keys, self.load_many()).await);
            }
            Operation::Bypass => drop(self.bypass(1).await),
            Operation::BypassBatch => {
                let keys = [3, 1, 4].map(|number| self.key(number));
                drop(self.rows.bypass_many(&keys, self.load_many()).await);
            }
            Operation::ReadInWindow => self.read_in_window().await,
            Operation::BatchInWindow => self.batch_in_window().await,
            Operation::ReadTagged => drop(self.read_tagged(3).await),
            Operation::ReadBlocking => {
                let load = || {
                    self.trap.step(Code::Loader);
                    Ok::<_, Down>(Some(self.value(self.version(4))))
                };
                drop(self.rows.get_or_load_blocking(self.key(4), load));
            }
            Operation::Ticket => {
                let ticket = self.rows.begin(self.key(4));
                tokio::task::yield_now().await;
                ticket.finish_entry(Entry::new(self.value(1)).tag(TAG));
            }
            Operation::InvalidateTag => {
                drop(self.read_tagged(3).await);
                self.cache.manager.invalidate_tag(TAG);
            }
            Operation::Evict => {
                for number in 1..4 {
                    self.few.insert(self.key(number), self.value(1));
                }
            }
            Operation::Expire => {
                self.cache.hand.advance(TTL);
                self.cache.manager.cleanup().await;
            }
            Operation::Clear => drop(self.cache.manager.clear()),
            Operation::SwitchOffAndOn => {
                self.cache.manager.set_all_enabled(false);
                drop(self.read(1).await);
                self.cache.manager.set_all_enabled(true);
            }
            Operation::FillLog => drop(self.read_log(2).await),
            Operation::AppendDuringFill => {
                let filling = tokio::spawn(self.clone().run_boxed(Operation::FillLog));
                tokio::task::yield_now().await;
                let guard = self.cache.manager.guard();
                let guard = guard.append(&self.logs, self.key(2), self.entry());
                let write = self.clone().write(LOGS + 2, Written::Committed);
                drop(guard.run(write).await);
                drop(filling.await);
            }
            _ => self.run_write(operation).await,
        }
    }

    fn run_boxed(self: Arc<Self>, operation: Operation) -> BoxFuture<'static, ()> {
        self.run(operation).boxed()
    }

    async fn run_write(self: Arc<Self>, operation: Operation) {
        let guard = self.cache.manager.guard();
        let write = |row| self.clone().write(row, Written::Committed);
        let lost = |row| self.clone().write(row, |_| Written::Unknown(Down));
        let (rows, logs, key) = (&self.rows, &self.logs, |number| self.key(number));
        match operation {
            Operation::WriteTag => {
                drop(self.read_tagged(3).await);
                let guard = guard.tag(rows, TAG).key_storing(rows, key(1), self.row());
                drop(guard.run(write(1)).await);
            }
            Operation::Upsert => {
                let world = self.clone();
                let change = |_| async move {
                    tokio::task::yield_now().await;
                    world.trap.step(Code::Write);
                    let version = world.commit(1);
                    Written::<_, Down>::Committed(world.value(version))
                };
                drop(self.cache.manager.upsert(rows, key(1), change).await);
            }
            Operation::WriteStoring => {
                drop(
                    guard
                        .key_storing(rows, key(1), self.row())
                        .run(write(1))
                        .await,
                );
            }
            Operation::WriteManyKeys => {
                let guard = guard
                    .key(rows, key(2))
                    .key_storing(rows, key(1), self.row())
                    .region(&self.few)
                    .creating(rows)
                    .append(logs, key(2), |_| []);
                drop(guard.run(write(1)).await);
            }
            Operation::WriteRegion => drop(guard.region(rows).run(write(1)).await),
            Operation::WriteRecognizedKeys => {
                let trap = self.trap.clone();
                let covers = move |key: &TrappedKey| {
                    trap.step(Code::Covers);
                    key.number == 1
                };
                drop(guard.keys_where(rows, covers).run(write(1)).await);
            }
            Operation::WriteRefused => {
                let refused = async {
                    tokio::task::yield_now().await;
                    Written::NotApplied(Down)
                };
                drop(
                    guard
                        .key_storing(rows, key(1), self.row())
                        .run(refused)
                        .await,
                );
            }
            Operation::WriteLost => {
                let guard = guard.key(rows, key(1)).key(rows, key(2)).creating(rows);
                drop(guard.run(lost(1)).await);
            }
            Operation::Append => {
                drop(
                    guard
                        .append(logs, key(1), self.entry())
                        .run(write(LOGS + 1))
                        .await,
                );
            }
            Operation::AppendLost => {
                drop(
                    guard
                        .append(logs, key(1), self.entry())
                        .run(lost(LOGS + 1))
                        .await,
                );
            }
            Operation::ClearLog => {
                drop(guard.key(logs.region(), key(1)).run(write(LOGS + 1)).await);
            }
            other => panic!("{other:?} is no write"),
        }
    }

    async fn bypass(self: &Arc<Self>, number: u64) -> Result<u64, ReadError> {
        let load = self.load(number);
        let read = self.rows.bypass(self.key(number), || load).await?;
        Ok(read.value.expect("every row exists").version)
    }

    async fn read_tagged(self: &Arc<Self>, number: u64) -> Result<u64, ReadError> {
        let load = self.load(number);
        let load = || async { Ok(load.await?.map(|value| Entry::new(value).tag(TAG))) };
        let read = self.rows.request(self.key(number)).load_entry(load).await?;
        Ok(read.value.expect("every row exists").version)
    }

    /// Reads a batch twice while a write is open, so that one load runs and one is queued.
    async fn batch_in_window(self: &Arc<Self>) {
        let read = |world: Arc<Self>| async move {
            let keys = [1, 1].map(|number| world.key(number));
            let load = world.load_many();
            drop(world.rows.get_or_load_many(&keys, load).await);
        };
        self.in_window([1, 2].map(|_| read(self.clone()).boxed()))
            .await;
    }

    /// Reads twice while a write is open, so that one load runs and one is queued.
    async fn read_in_window(self: &Arc<Self>) {
        let read = |world: Arc<Self>| async move { drop(world.read(1).await) };
        self.in_window([1, 2].map(|_| read(self.clone()).boxed()))
            .await;
    }

    /// Runs reads while a write is open.
    async fn in_window(self: &Arc<Self>, reads: [BoxFuture<'static, ()>; 2]) {
        let (mut gate, pass) = gate();
        let world = self.clone();
        let writing = tokio::spawn(async move {
            let committing = world.clone();
            let write = async move {
                pass.wait().await;
                Written::<_, Down>::Committed(committing.commit(1))
            };
            let guard = world.cache.manager.guard().key(&world.rows, world.key(1));
            drop(guard.run(write).await);
        });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let has_begun = gate.has_begun();
        for read in reads.map(tokio::spawn) {
            drop(read.await);
        }
        if has_begun {
            gate.open();
        }
        drop(writing.await);
    }
}
