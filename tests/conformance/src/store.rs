//! The store behind the caches: rows, a count of loads, and gates that hold a load or a write where it matters.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// How long anything may take before it counts as no answer.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// Why a read gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("not found")]
    NotFound,
    #[error("the store failed")]
    StoreFailed,
    #[error("the cache failed")]
    CacheFailed,
}

/// Rows by key.
#[derive(Default)]
pub(crate) struct Store {
    rows: Mutex<HashMap<String, u64>>,
    loads: AtomicUsize,
    failing: AtomicBool,
    next_load: Mutex<Option<Gate>>,
    next_write: Mutex<Option<Gate>>,
}

/// The store's side of a gate.
struct Gate {
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// The scenario's side of a gate.
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    release: Option<oneshot::Sender<()>>,
}

impl Store {
    /// Reads a row, as every cache here does on a miss. A load that is held has read its row already.
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

    /// Commits a row. A write that is held has committed already, and has not answered yet.
    pub(crate) async fn put(&self, key: &str, value: u64) {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned(), value);
        pass(&self.next_write).await;
    }

    fn row(&self, key: &str) -> Result<u64, ReadError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(key).copied().ok_or(ReadError::NotFound)
    }

    /// From here on every load fails.
    pub(crate) fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    /// How many loads have begun.
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
    /// Returns when the load or the write stands at the gate.
    pub(crate) async fn reached(&mut self) {
        let reached = timeout(PATIENCE, &mut self.reached).await;
        reached
            .expect("it begins when it is polled")
            .expect("the gate is passed only once it is reached");
    }

    /// Opens the gate; a second time does nothing.
    pub(crate) fn release(&mut self) {
        if let Some(release) = self.release.take() {
            // Whoever stood there may have been dropped.
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
