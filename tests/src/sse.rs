//! A client of a room's event stream.

use reqwest::{Response, StatusCode};

use crate::response::header_text;

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// The event's name.
    pub name: String,
    /// The text of the field `id`; empty if the event has none.
    pub id: String,
    /// The event's data.
    pub data: String,
}

/// An open event stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    /// Received text that is not yet parsed.
    text: String,
}

impl EventStream {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            response,
            text: String::new(),
        }
    }

    /// Returns a header's text; empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        header_text(self.response.headers(), name)
    }

    /// Waits for the next event, and skips keep-alive comments. Returns `None` when the stream has
    /// ended or the connection was lost.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let event = parse(&block);
                if !event.name.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(
                std::str::from_utf8(&chunk).expect("a chunk holds whole characters in these tests"),
            );
        }
    }

    /// Waits for the next event of this name and skips all others.
    pub async fn next_named(&mut self, name: &str) -> Option<ServerEvent> {
        loop {
            let event = self.next().await?;
            if event.name == name {
                return Some(event);
            }
        }
    }
}

fn parse(block: &str) -> ServerEvent {
    let mut event = ServerEvent::default();
    for (field, value) in block.lines().filter_map(|line| line.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => value.clone_into(&mut event.id),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
    event
}
