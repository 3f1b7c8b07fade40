//! A client that sends one message after the other, and measures the time of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{NewMessage, Repositories, RoomId};
use tokio::task::JoinHandle;

use crate::measure::micros;

/// The pause between two messages. The client measures delays, not throughput.
const PAUSE: Duration = Duration::from_millis(1);

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
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                let new = NewMessage::from_user(room, "Is anyone here?");
                let sent = ports.messages.append(new).await;
                sent.expect("the store accepts the message");
                times.push(micros(start.elapsed()));
                tokio::time::sleep(PAUSE).await;
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
