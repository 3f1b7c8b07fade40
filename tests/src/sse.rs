//! A client of a room's event stream.

use reqwest::{Response, StatusCode};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its `id:`, empty where it has none.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// An open stream.
#[derive(Debug)]
pub struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            response,
            text: String::new(),
        }
    }

    /// A header of the answer; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| {
            value.to_str().expect("headers of ours are ASCII")
        })
    }

    /// The next event, signs of life left out; `None` when the stream ended or was cut off.
    pub async fn next(&mut self) -> Option<Event> {
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
                std::str::from_utf8(&chunk).expect("events are ASCII or whole characters here"),
            );
        }
    }

    /// The next event of this name.
    pub async fn next_named(&mut self, name: &str) -> Option<Event> {
        loop {
            let event = self.next().await?;
            if event.name == name {
                return Some(event);
            }
        }
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
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
