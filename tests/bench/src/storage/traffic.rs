//! A client that sends messages at fixed moments, and measures the delay of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{NewMessage, Repositories, RoomId};
use tokio::{task::JoinHandle, time::sleep_until};

use crate::{measure::micros, run_mode::RunMode};

/// The time between two messages. It is longer than a message takes, so that messages do not queue.
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
            // Relaxed, like the store: the flag orders no other accesses.
            while !stopped.load(Ordering::Relaxed) {
                let new = NewMessage::from_user(room, "Is anyone here?");
                let sent = ports.messages.append(new).await;
                sent.expect("the store accepts the message");
                // The delay counts from the moment when the message was due. So a slow message also
                // adds to the delays of the messages after it.
                times.push(micros(due.elapsed()));
                due += INTERVAL;
                sleep_until(due.into()).await;
            }
            times
        });
        Self { stop, client }
    }

    /// Stops the client, and returns the delay of each message in microseconds.
    pub(super) async fn stop(self) -> Vec<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.client.await.expect("the client does not panic")
    }
}

/// Returns the delays of messages in microseconds while nothing else runs.
pub(super) async fn quiet(mode: RunMode, ports: &Repositories, room: RoomId) -> Vec<f64> {
    let traffic = Traffic::start(ports, room);
    tokio::time::sleep(mode.choose(Duration::from_secs(4), Duration::from_secs(1))).await;
    traffic.stop().await
}
