//! The events of a polling run, ordered by their times on the manual clock.

use std::time::Duration;

use super::super::sample::ROOMS;

/// The number of clients.
pub(super) const CLIENTS: usize = 100;
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const MESSAGE_INTERVAL: Duration = Duration::from_secs(10);

/// An operation of a client or an agent.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// A client requests new messages.
    Poll { client: usize },
    /// A client requests the agents that compose a message.
    ChattingAgents { client: usize },
    /// An agent of a room writes a message.
    Message { room_number: usize },
}

/// An event and its time after the start.
pub(super) struct ScheduledEvent {
    pub(super) time: Duration,
    pub(super) event: Event,
}

/// Returns all events of this many seconds, in the order of their times.
pub(super) fn schedule(seconds: u64) -> Vec<ScheduledEvent> {
    let mut events = Vec::new();
    let mut repeat = |first: Duration, interval: Duration, event: Event| {
        let mut time = first;
        while time < Duration::from_secs(seconds) {
            events.push(ScheduledEvent { time, event });
            time += interval;
        }
    };
    for client in 0..CLIENTS {
        let first = offset(client, CLIENTS, POLL_INTERVAL);
        repeat(first, POLL_INTERVAL, Event::Poll { client });
        repeat(
            first + POLL_INTERVAL / 2,
            POLL_INTERVAL,
            Event::ChattingAgents { client },
        );
    }
    for room_number in 0..ROOMS {
        repeat(
            offset(room_number, ROOMS, MESSAGE_INTERVAL),
            MESSAGE_INTERVAL,
            Event::Message { room_number },
        );
    }
    // The sort is stable, so events at the same time keep the order in which they were added above.
    events.sort_by_key(|scheduled| scheduled.time);
    events
}

/// Returns the time of the first event of repetition `number`. The first events of all `total`
/// repetitions are spread evenly over one interval.
fn offset(number: usize, total: usize, interval: Duration) -> Duration {
    let small = "the numbers of clients and rooms are small";
    interval * u32::try_from(number).expect(small) / u32::try_from(total).expect(small)
}
