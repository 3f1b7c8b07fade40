//! The live view of the server for its administrator: figures each second, their history of an
//! hour, the newest log lines, and the switches of the cache's regions.

mod figures;
mod history;
mod log_ring;
mod switches;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use cache_core::Manager;
use chrono::{SecondsFormat, Utc};
use tokio::sync::{Semaphore, watch};

use crate::state::App;
pub(crate) use figures::{Figures, Overview};
use history::History;
pub use log_ring::layer as log_ring_layer;
pub(crate) use log_ring::ring as log_ring;
pub(crate) use switches::{ByHand, RegionSwitches};

/// The interval of the figures.
const INTERVAL: Duration = Duration::from_secs(1);
/// The number of intervals in a step of the history.
const STEP: u64 = 10;
/// The most streams of the live view at the same time.
const MOST_STREAMS: usize = 16;

/// The live view. It costs nothing on the path of a read: a job reads the counters each second.
#[derive(Debug)]
pub(crate) struct Operate {
    pub(crate) switches: RegionSwitches,
    started_at: String,
    history: Mutex<History>,
    /// The newest figures as JSON. All streams share them.
    frames: watch::Sender<Bytes>,
    /// The places of the streams.
    pub(crate) streams: Arc<Semaphore>,
}

impl Operate {
    pub(crate) fn new(manager: Manager) -> Self {
        Self {
            switches: RegionSwitches::new(manager),
            started_at: now(),
            history: Mutex::default(),
            frames: watch::Sender::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        }
    }

    /// Returns a receiver of the figures. They are computed only while there is a receiver.
    pub(crate) fn listen(&self) -> watch::Receiver<Bytes> {
        self.frames.subscribe()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time in the form of the HTTP interface.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Returns the figures of now, with the history of the last hour.
pub(crate) fn overview(app: &App) -> Overview {
    Overview {
        figures: Figures::of(app),
        history: app.operate.history().figures(INTERVAL.as_secs() * STEP),
    }
}

/// Computes the figures each second while somebody listens, and extends the history.
pub(crate) async fn sample(app: Arc<App>) {
    let operate = &app.operate;
    for second in 0_u64.. {
        if second % STEP == 0 {
            operate.history().push(&app.cache.manager.stats());
        }
        if operate.frames.receiver_count() > 0 {
            let frame = serde_json::to_vec(&Figures::of(&app)).expect("figures are JSON");
            operate.frames.send_replace(frame.into());
        }
        app.cache.manager.clock().sleep(INTERVAL).await;
    }
}
