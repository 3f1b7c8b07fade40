//! A model server for tests. It sends exactly the bytes that a test specifies.

use std::{collections::VecDeque, time::Duration};

use responders::{ModelSettings, Protocol};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::PATIENCE;

pub(crate) const KEY: &str = "sk-a-key-that-nobody-may-see";

/// The head of a successful response.
pub(crate) const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// The behavior of the server on one connection.
#[derive(Clone)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    closes: bool,
}

impl Script {
    /// Returns a script that sends these bytes and closes the connection.
    pub(crate) fn closing(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            closes: true,
        }
    }

    /// Returns a script that sends these bytes and waits until the client closes the connection.
    pub(crate) fn holding(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            closes: false,
        }
    }

    /// Returns a script that refuses the request with this status.
    pub(crate) fn refusing(status: u16, headers: &str, body: &str) -> Self {
        Self::closing(format!(
            "HTTP/1.1 {status} No\r\nconnection: close\r\n{headers}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Returns a script that sends these events as an answer and closes the connection.
    pub(crate) fn events(events: impl AsRef<[u8]>) -> Self {
        Self::closing([HEAD.as_bytes(), events.as_ref()].concat())
    }
}

/// An event that the server has observed.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    Request(Request),
    /// The client closed a connection that the server kept open.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Request {
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) struct Server {
    address: String,
    events: mpsc::UnboundedReceiver<ServerEvent>,
}

impl Server {
    /// Starts a server that follows one script for each connection. It repeats the last script for
    /// all further connections.
    pub(crate) async fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, events) = mpsc::unbounded_channel();
        let mut scripts: VecDeque<_> = scripts.into_iter().collect();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let script = if scripts.len() > 1 {
                    scripts.pop_front().unwrap()
                } else {
                    scripts[0].clone()
                };
                tokio::spawn(serve(connection, script, sender.clone()));
            }
        });
        Self { address, events }
    }

    /// Returns settings for this server, with very short pauses between attempts.
    pub(crate) fn settings(&self, protocol: Protocol) -> ModelSettings {
        let mut settings = match protocol {
            Protocol::Anthropic => ModelSettings::anthropic("a-model", KEY.into()),
            Protocol::OpenAi => ModelSettings::open_ai("", "a-model", Some(KEY.into())),
        };
        settings.base_url = format!("http://{}/base/", self.address);
        settings.first_pause = Duration::from_millis(1);
        settings
    }

    /// Waits for the next event.
    pub(crate) async fn next(&mut self) -> ServerEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("the client sends a request or closes the connection")
            .unwrap()
    }

    /// Waits for the next request.
    pub(crate) async fn request(&mut self) -> Request {
        match self.next().await {
            ServerEvent::Request(request) => request,
            ServerEvent::Closed => panic!("the client closed the connection"),
        }
    }

    /// Waits until the client closes a connection that the server kept open.
    pub(crate) async fn closed(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, ServerEvent::Closed), "{event:?}");
    }

    /// Removes the events that were not taken yet, and returns the number of requests in them.
    pub(crate) fn requests(&mut self) -> usize {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .filter(|event| matches!(event, ServerEvent::Request(_)))
            .count()
    }
}

async fn serve(
    mut connection: TcpStream,
    script: Script,
    events: mpsc::UnboundedSender<ServerEvent>,
) {
    /// The first byte of a TLS handshake.
    const TLS_HANDSHAKE: u8 = 22;
    let mut bytes = Vec::new();
    let request = loop {
        if let Some(request) = parse_request(&bytes) {
            break request;
        }
        let is_tls = bytes.first() == Some(&TLS_HANDSHAKE);
        if is_tls || connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let _ = events.send(ServerEvent::Request(request));
    // An error means that the client has read enough and has closed the connection.
    let _ = connection.write_all(&script.bytes).await;
    if !script.closes {
        while connection
            .read_buf(&mut bytes)
            .await
            .is_ok_and(|read| read > 0)
        {}
        let _ = events.send(ServerEvent::Closed);
    }
}

/// Returns the request; `None` if a part of it has not arrived yet.
fn parse_request(bytes: &[u8]) -> Option<Request> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    (body.len() == length.parse::<usize>().unwrap()).then(|| Request {
        body: serde_json::from_str(body).unwrap(),
        head,
    })
}
