//! What scenarios are written with: a cache over its store, reads that have begun, and a load that is held.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

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

/// One empty cache over one empty store.
pub(crate) struct Case {
    pub(crate) peer: Arc<dyn Peer>,
    pub(crate) store: Arc<Store>,
    pub(crate) ttl: Duration,
}

/// What a scenario saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) passed: bool,
    pub(crate) values: String,
}

/// Why a scenario did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    NoSuchOperation,
    /// What was waited for.
    NoAnswer(&'static str),
}

/// What a read answered, if it did in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Option<Result<u64, ReadError>>);

/// A read that has been polled once, so that it has looked up its key, and loads or waits. Nobody polls it again
/// before it is awaited.
pub(crate) type Begun = Pin<Box<MaybeDone<BoxFuture<'static, Result<u64, ReadError>>>>>;

/// A read that has begun and goes on in a task of its own.
pub(crate) struct Reader(JoinHandle<Result<u64, ReadError>>);

/// A reader whose load has read its row and is held.
pub(crate) struct Loading {
    pub(crate) leader: Reader,
    pub(crate) held: Held,
}

impl Case {
    /// A whole read.
    pub(crate) async fn read(&self, key: &str) -> Answer {
        Answer(timeout(PATIENCE, self.peer.read(key)).await.ok())
    }

    /// A whole write, which nothing holds.
    pub(crate) async fn write(&self, key: &str, value: u64) -> Result<(), Stop> {
        timeout(PATIENCE, self.peer.write(key, value))
            .await
            .map_err(|_| Stop::NoAnswer("the write"))
    }

    /// A read that begins now.
    pub(crate) async fn begin(&self, key: &'static str) -> Begun {
        let peer = self.peer.clone();
        let mut read = Box::pin(maybe_done(async move { peer.read(key).await }.boxed()));
        let _ = poll!(&mut read);
        read
    }

    /// A reader that begins now.
    pub(crate) async fn reader(&self, key: &'static str) -> Reader {
        let mut read = self.begin(key).await;
        Reader(tokio::spawn(async move {
            (&mut read).await;
            read.as_mut().take_output().expect("it has just ended")
        }))
    }

    /// A reader whose load stands at the gate.
    pub(crate) async fn load(&self, key: &'static str) -> Loading {
        let mut held = self.store.hold_next_load();
        let leader = self.reader(key).await;
        held.reached().await;
        Loading { leader, held }
    }
}

impl Reader {
    pub(crate) async fn finish(self) -> Answer {
        Answer(
            timeout(PATIENCE, self.0)
                .await
                .ok()
                .map(|read| read.expect("no cache here panics")),
        )
    }

    /// Returns when its future has been dropped.
    pub(crate) async fn cancel(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

impl Loading {
    /// Writes or invalidates while the load is held. A cache may let that wait until the load has ended: then the load
    /// is let go, and the text says so.
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

    /// Lets the load go and waits for its reader, who began before anything else and may see old or new.
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

impl PartialEq<u64> for Answer {
    fn eq(&self, value: &u64) -> bool {
        self.0 == Some(Ok(*value))
    }
}

impl PartialEq<ReadError> for Answer {
    fn eq(&self, error: &ReadError) -> bool {
        self.0 == Some(Err(*error))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Ok(value)) => value.fmt(f),
            Some(Err(error)) => error.fmt(f),
            None => f.write_str("no answer"),
        }
    }
}
