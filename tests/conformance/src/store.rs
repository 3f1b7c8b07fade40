//! The store behind the caches: rows, a counter of loads, and gates. A gate holds a load after it
//! has read its row, or a write after its commit.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// The maximum time of a call. A call that takes longer counts as unanswered. All work is in
/// memory, so half a second is enough even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// The reasons why a read returned no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store has no such row.
    #[error("not found")]
    NotFound,
    /// The load failed.
    #[error("the store failed")]
    StoreFailed,
    /// The cache reported an error that did not come from the store.
    #[error("the cache failed")]
    CacheFailed,
}

/// A store of rows by key. The next load and the next write can each be held at a gate.
#[derive(Default)]
pub struct Store {
    rows: Mutex<HashMap<String, u64>>,
    loads: AtomicUsize,
    failing: AtomicBool,
    next_load: Mutex<Option<Gate>>,
    next_write: Mutex<Option<Gate>>,
}

/// The store's side of a gate. The store reports that it has reached the gate, and waits for the
/// release.
struct Gate {
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// The scenario's side of a gate. The scenario waits until the gate is reached, and releases it.
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    release: Option<oneshot::Sender<()>>,
}

impl Store {
    /// Reads a row. Every cache calls this after a miss. If the scenario has set a gate, it holds
    /// the load after the row was read.
    pub(crate) async fn load(&self, key: &str) -> Result<u64, ReadError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let row = if self.failing.load(Ordering::SeqCst) {
            Err(ReadError::StoreFailed)
        } else {
            self.row(key)
        };
        pass(&self.next_load).await;
        row
    }

    /// Commits a row. If the scenario has set a gate, it holds the write after the commit.
    pub(crate) async fn put(&self, key: &str, value: u64) {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned(), value);
        pass(&self.next_write).await;
    }

    /// Returns the row of a key, or the error `NotFound`.
    fn row(&self, key: &str) -> Result<u64, ReadError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(key).copied().ok_or(ReadError::NotFound)
    }

    /// Makes all later loads fail.
    pub(crate) fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    /// Returns the number of loads that have begun.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Holds the next load after it has read its row.
    pub(crate) fn hold_next_load(&self) -> Held {
        hold(&self.next_load)
    }

    /// Holds the next write after it has committed.
    pub(crate) fn hold_next_write(&self) -> Held {
        hold(&self.next_write)
    }
}

impl Held {
    /// Waits until the load or the write is held at the gate.
    pub(crate) async fn reached(&mut self) {
        let reached = timeout(PATIENCE, &mut self.reached).await;
        reached
            .expect("the load begins when it is polled")
            .expect("the gate reports before it is passed");
    }

    /// Opens the gate. Does nothing if the gate is already open.
    pub(crate) fn release(&mut self) {
        if let Some(release) = self.release.take() {
            // The send fails if the held call was dropped. This is not an error.
            let _ = release.send(());
        }
    }
}

fn hold(next: &Mutex<Option<Gate>>) -> Held {
    let (reach, reached) = oneshot::channel();
    let (release, released) = oneshot::channel();
    *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Gate {
        reached: reach,
        released,
    });
    Held {
        reached,
        release: Some(release),
    }
}

async fn pass(next: &Mutex<Option<Gate>>) {
    let gate = next.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(gate) = gate {
        let _ = gate.reached.send(());
        let _ = gate.released.await;
    }
}
