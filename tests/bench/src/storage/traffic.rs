//! A client that sends a message at fixed moments, and measures the delay of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{NewMessage, Repositories, RoomId};
use tokio::{task::JoinHandle, time::sleep_until};

use crate::measure::micros;

/// The time between two messages. A message takes less, so that the client can keep the pace.
const INTERVAL: Duration = Duration::from_millis(5);

/// A running client.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    client: JoinHandle<Vec<f64>>,
}

impl Traffic {
    pub(super) fn start(ports: &Repositories, room: RoomId) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (ports, stopped) = (ports.clone(), stop.clone());
        let client = tokio::spawn(async move {
            let mut times = Vec::new();
            let mut due = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let new = NewMessage::from_user(room, "Is anyone here?");
                let sent = ports.messages.append(new).await;
                sent.expect("the store accepts the message");
                // The time since the message was due. So a long delay also counts for the messages
                // that had to wait behind it.
                times.push(micros(due.elapsed()));
                due += INTERVAL;
                sleep_until(due.into()).await;
            }
            times
        });
        Self { stop, client }
    }

    /// Stops the client, and returns the microseconds of each message.
    pub(super) async fn stop(self) -> Vec<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.client.await.expect("the client does not panic")
    }
}

/// Returns the times of messages while nothing else runs.
pub(super) async fn quiet(ports: &Repositories, room: RoomId, time: Duration) -> Vec<f64> {
    let traffic = Traffic::start(ports, room);
    tokio::time::sleep(time).await;
    traffic.stop().await
}
