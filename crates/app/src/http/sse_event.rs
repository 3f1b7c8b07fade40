//! The form of an event stream: events, and comments while there are none.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use domain::MessageId;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep};

/// The size from which the JSON of an event is not copied, in bytes.
const LONG_BYTES: usize = 4_096;

/// One event of an event stream.
pub(super) struct Event {
    name: &'static str,
    id: Option<u64>,
    json: Bytes,
}

/// Returns an event with this name and this JSON.
pub(super) fn event(name: &'static str, json: impl Into<Bytes>) -> Event {
    Event {
        name,
        id: None,
        json: json.into(),
    }
}

impl Event {
    /// Returns the same event with the id of a message, after which a client can resume.
    pub(super) fn id(self, id: MessageId) -> Self {
        self.numbered(id.0.unsigned_abs())
    }

    /// Returns the same event with this number as its id.
    pub(super) fn numbered(self, id: u64) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// Returns the event as pieces of the stream. Long JSON is a piece of its own, which keeps its
    /// permit until it is sent.
    fn into_pieces(self) -> VecDeque<Bytes> {
        let Self { name, id, json } = self;
        let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
        // JSON contains no line break, so one line of data is enough.
        let mut head = format!("event: {name}\n{id}data: ").into_bytes();
        if json.len() >= LONG_BYTES {
            return [head.into(), json, Bytes::from_static(b"\n\n")].into();
        }
        head.extend_from_slice(&json);
        head.extend_from_slice(b"\n\n");
        [head.into()].into()
    }
}

/// The bytes of an event stream. A comment is sent at an interval while there are no events.
pub(super) struct Frames<S> {
    events: Pin<Box<S>>,
    pieces: VecDeque<Bytes>,
    interval: Duration,
    heartbeat: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Event>> Frames<S> {
    pub(super) fn new(events: S, interval: Duration) -> Self {
        Self {
            events: Box::pin(events),
            pieces: VecDeque::new(),
            interval,
            heartbeat: Box::pin(sleep(interval)),
        }
    }
}

impl<S: Stream<Item = Event>> Stream for Frames<S> {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.pieces.is_empty() {
            match this.events.poll_next_unpin(context) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(event)) => this.pieces = event.into_pieces(),
                Poll::Pending => {
                    if this.heartbeat.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    this.pieces.push_back(Bytes::from_static(b":\n\n"));
                }
            }
            let next = Instant::now() + this.interval;
            this.heartbeat.as_mut().reset(next);
        }
        Poll::Ready(this.pieces.pop_front().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn text(events: Vec<Event>) -> (String, usize) {
        let frames = Frames::new(stream::iter(events), Duration::from_secs(15));
        let pieces: Vec<_> = frames.map(Result::unwrap).collect().await;
        let text = String::from_utf8(pieces.concat()).unwrap();
        (text, pieces.len())
    }

    #[tokio::test]
    async fn an_event_has_its_name_its_id_and_its_json() {
        let long = format!("\"{}\"", "x".repeat(LONG_BYTES));
        let events = vec![
            event("message", "{}").id(MessageId(7)),
            event("room", long.clone()),
        ];
        let expected =
            format!("event: message\nid: 7\ndata: {{}}\n\nevent: room\ndata: {long}\n\n");
        assert_eq!(text(events).await, (expected, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_comment_is_sent_while_there_are_no_events() {
        let interval = Duration::from_secs(15);
        let mut frames = Frames::new(stream::pending(), interval);
        let began = Instant::now();
        for beats in 1..4 {
            assert_eq!(frames.next().await.unwrap().unwrap(), ":\n\n");
            assert_eq!(began.elapsed().as_secs(), 15 * beats);
        }
    }
}
