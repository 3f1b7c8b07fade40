//! The operations from which scenarios are built: a cache with its store, reads that have begun,
//! and held loads.

use std::{fmt, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, MaybeDone, maybe_done},
    poll,
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    peers::{NoSuchOperation, Peer},
    store::{Held, PATIENCE, ReadError, Store},
};

/// A scenario's cache and its store. Both are empty at the beginning.
pub struct Case {
    pub(crate) peer: Arc<dyn Peer>,
    pub(crate) store: Arc<Store>,
    pub(crate) ttl: Duration,
}

/// The observed behavior in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `true` if the cache behaved as expected.
    pub passed: bool,
    /// The observed values as text, for the page.
    pub values: String,
}

/// The reason why a scenario ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The cache lacks an operation of the scenario.
    NoSuchOperation,
    /// The named call did not return in time.
    NoAnswer(&'static str),
}

/// The result of a read; `None` if the read did not return in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadResult(pub(crate) Option<Result<u64, ReadError>>);

/// A read that was polled once. It has looked up its key, and now loads the row or waits for a
/// load. It makes no progress until it is awaited.
pub(crate) type Begun = Pin<Box<MaybeDone<BoxFuture<'static, Result<u64, ReadError>>>>>;

/// A read that has begun, and continues in a dedicated task.
pub(crate) struct Reader(JoinHandle<Result<u64, ReadError>>);

/// A reader whose load is held at a gate of the store. The load has already read the row.
pub(crate) struct Loading {
    pub(crate) leader: Reader,
    pub(crate) held: Held,
}

impl Case {
    /// Reads a key and waits for the result.
    pub(crate) async fn read(&self, key: &str) -> ReadResult {
        ReadResult(timeout(PATIENCE, self.peer.read(key)).await.ok())
    }

    /// Writes a row. No gate must hold the write.
    pub(crate) async fn write(&self, key: &str, value: u64) -> Result<(), Stop> {
        timeout(PATIENCE, self.peer.write(key, value))
            .await
            .map_err(|_| Stop::NoAnswer("the write"))
    }

    /// Begins a read by polling it once.
    pub(crate) async fn begin(&self, key: &'static str) -> Begun {
        let peer = self.peer.clone();
        // A cache may pass on the panic of its weigher.
        let read = async move {
            let read = AssertUnwindSafe(peer.read(key)).catch_unwind().await;
            read.unwrap_or(Err(ReadError::CacheFailed))
        };
        let mut read = Box::pin(maybe_done(read.boxed()));
        let _ = poll!(&mut read);
        read
    }

    /// Begins a read, and spawns a task that continues it.
    pub(crate) async fn reader(&self, key: &'static str) -> Reader {
        let mut read = self.begin(key).await;
        Reader(tokio::spawn(async move {
            (&mut read).await;
            read.as_mut()
                .take_output()
                .expect("the read has just ended")
        }))
    }

    /// Begins a read whose load reads another key through the cache.
    pub(crate) fn reader_through(&self, key: &'static str, inner: &'static str) -> Reader {
        let (peer, inner_peer) = (self.peer.clone(), self.peer.clone());
        let load = async move { inner_peer.read(inner).await };
        Reader(tokio::spawn(async move {
            peer.read_with(key, load.boxed()).await
        }))
    }

    /// Begins a read, and waits until its load is held at the gate.
    pub(crate) async fn load(&self, key: &'static str) -> Loading {
        let mut held = self.store.hold_next_load();
        let leader = self.reader(key).await;
        held.reached().await;
        Loading { leader, held }
    }
}

impl Reader {
    /// Waits for the result of the read.
    pub(crate) async fn finish(self) -> ReadResult {
        let read = timeout(PATIENCE, self.0).await.ok();
        ReadResult(read.map(|read| read.expect("panics are caught")))
    }

    /// Aborts the read, and waits until its future is dropped.
    pub(crate) async fn cancel(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

impl Loading {
    /// Runs a write or an invalidation while the load is held. A cache may make the invalidation
    /// wait for the load. In this case, releases the load and says so in the returned text.
    pub(crate) async fn overtake<T>(
        &mut self,
        mut invalidation: BoxFuture<'_, T>,
    ) -> Result<(T, &'static str), Stop> {
        if let Ok(done) = timeout(PATIENCE, &mut invalidation).await {
            return Ok((done, ""));
        }
        self.held.release();
        let done = timeout(PATIENCE, invalidation)
            .await
            .map_err(|_| Stop::NoAnswer("the invalidation"))?;
        Ok((done, "; the invalidation waited for the load"))
    }

    /// Releases the load and waits for its reader. The reader's result does not matter: it may be
    /// the old or the new value.
    pub(crate) async fn end(mut self) {
        self.held.release();
        self.leader.finish().await;
    }
}

impl Observed {
    pub(crate) fn new(passed: bool, values: String) -> Self {
        Self { passed, values }
    }
}

impl From<NoSuchOperation> for Stop {
    fn from(NoSuchOperation: NoSuchOperation) -> Self {
        Self::NoSuchOperation
    }
}

impl PartialEq<u64> for ReadResult {
    fn eq(&self, value: &u64) -> bool {
        self.0 == Some(Ok(*value))
    }
}

impl PartialEq<ReadError> for ReadResult {
    fn eq(&self, error: &ReadError) -> bool {
        self.0 == Some(Err(*error))
    }
}

impl fmt::Display for ReadResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Ok(value)) => value.fmt(f),
            Some(Err(error)) => error.fmt(f),
            None => f.write_str("no answer"),
        }
    }
}
