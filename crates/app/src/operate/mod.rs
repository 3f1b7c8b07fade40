//! The parts of the live view for administrators: the newest figures, their history of an hour, the
//! newest log lines, and the switches of the cache's regions.

mod history;
mod log_ring;
mod moment;
mod switches;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use axum::body::Bytes;
use cache_core::Manager;
use tokio::sync::{Semaphore, watch};

use history::History;
pub(crate) use history::HistoryFigures;
pub use log_ring::layer as log_ring_layer;
pub(crate) use log_ring::ring as log_ring;
pub(crate) use moment::now;
pub(crate) use switches::{ByHand, RegionSwitches};

/// The interval of the history.
pub(crate) const HISTORY_STEP: Duration = Duration::from_secs(10);
/// The most streams of the live view at the same time.
const MOST_STREAMS: usize = 16;

/// The live view. It adds no work to a read: a job reads the counters every ten seconds for the
/// history, and every second while a stream is open.
#[derive(Debug)]
pub(crate) struct Operate {
    pub(crate) switches: RegionSwitches,
    manager: Manager,
    started_at: String,
    started_seconds: u64,
    history: Mutex<History>,
    /// The newest figures as JSON. All streams share them.
    frames: watch::Sender<Bytes>,
    /// One permit for each stream that may be open.
    pub(crate) streams: Arc<Semaphore>,
}

impl Operate {
    pub(crate) fn new(manager: Manager) -> Self {
        Self {
            switches: RegionSwitches::new(manager.clone()),
            manager,
            started_at: now(),
            started_seconds: UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
            history: Mutex::default(),
            frames: watch::Sender::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        }
    }

    /// Returns a receiver of the figures. They are computed only while there is a receiver.
    pub(crate) fn listen(&self) -> watch::Receiver<Bytes> {
        self.frames.subscribe()
    }

    /// Returns the start of the program, in the form of [`now`].
    pub(crate) fn started_at(&self) -> String {
        self.started_at.clone()
    }

    /// Returns the start in seconds since 1970.
    pub(crate) fn started_seconds(&self) -> u64 {
        self.started_seconds
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the counts of now to the history. Called every [`HISTORY_STEP`].
    pub(crate) fn extend_history(&self) {
        self.history().push(&self.manager.stats());
    }

    /// Returns the history of the last hour.
    pub(crate) fn history_figures(&self) -> HistoryFigures {
        self.history().figures(HISTORY_STEP.as_secs())
    }

    /// Sends figures to all receivers. `figures` is called if there is one.
    pub(crate) fn send(&self, figures: impl FnOnce() -> Bytes) {
        if self.frames.receiver_count() > 0 {
            self.frames.send_replace(figures());
        }
    }
}
