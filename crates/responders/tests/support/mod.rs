//! A model server that says what a test tells it, byte for byte, in either protocol.

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use domain::{AgentConfig, AgentId, AgentName, Composed, Composing, Failure, Prompt, RoomId, Turn};
use futures_util::StreamExt as _;
use responders::{ModelSettings, Protocol};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Anthropic, Protocol::OpenAi];
pub(crate) const KEY: &str = "sk-a-key-that-nobody-may-see";

/// What is done with one connection.
#[derive(Clone)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    closes: bool,
}

impl Script {
    /// Sends this and closes the connection.
    pub(crate) fn closing(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            closes: true,
        }
    }

    /// Sends this and waits until the client closes the connection.
    pub(crate) fn holding(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            closes: false,
        }
    }

    /// Refuses with this status.
    pub(crate) fn refusing(status: u16, headers: &str, body: &str) -> Self {
        Self::closing(format!(
            "HTTP/1.1 {status} No\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends these events as the answer's body, whose end is the connection's.
    pub(crate) fn events(events: impl AsRef<[u8]>) -> Self {
        Self::closing([HEAD.as_bytes(), events.as_ref()].concat())
    }
}

/// The head of an answer.
pub(crate) const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// What the server saw.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A request: its head in small letters, and its body.
    Asked(String, Value),
    /// The client closed a connection that the server held.
    Gone,
}

pub(crate) struct Server {
    pub(crate) address: String,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Server {
    /// Does one script with each connection; the last again and again.
    pub(crate) async fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, seen) = mpsc::unbounded_channel();
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
        Self { address, seen }
    }

    /// Settings for this server, with which a test that hangs ends.
    pub(crate) fn settings(&self, protocol: Protocol) -> ModelSettings {
        let mut settings = match protocol {
            Protocol::Anthropic => ModelSettings::anthropic("a-model", KEY.into()),
            Protocol::OpenAi => ModelSettings::open_ai("", "a-model", Some(KEY.into())),
        };
        settings.base_url = format!("http://{}/base/", self.address);
        settings.first_pause = Duration::from_millis(1);
        settings
    }

    pub(crate) async fn next(&mut self) -> Seen {
        timeout(Duration::from_secs(20), self.seen.recv())
            .await
            .expect("something happens")
            .unwrap()
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> (String, Value) {
        match self.next().await {
            Seen::Asked(head, body) => (head, body),
            Seen::Gone => panic!("the client went away"),
        }
    }

    /// How many requests there were since the last look.
    pub(crate) fn requests(&mut self) -> usize {
        std::iter::from_fn(|| self.seen.try_recv().ok())
            .filter(|seen| matches!(seen, Seen::Asked(..)))
            .count()
    }
}

async fn serve(mut connection: TcpStream, script: Script, seen: mpsc::UnboundedSender<Seen>) {
    let mut request = Vec::new();
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap()
                .parse()
                .unwrap();
            if body.len() == length {
                break (head, serde_json::from_str(body).unwrap());
            }
        }
        // A client that speaks TLS, or went away, asks nothing.
        if request.first() == Some(&22) || connection.read_buf(&mut request).await.unwrap_or(0) == 0
        {
            return;
        }
    };
    let _ = seen.send(Seen::Asked(head, body));
    // A client that has enough closes before all is sent.
    let _ = connection.write_all(&script.bytes).await;
    if !script.closes {
        while connection
            .read_buf(&mut request)
            .await
            .is_ok_and(|read| read > 0)
        {}
        let _ = seen.send(Seen::Gone);
    }
}

/// An answer's body in chunks of one byte.
pub(crate) fn in_single_bytes(events: &str) -> Vec<u8> {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for byte in events.bytes() {
        bytes.extend([b'1', b'\r', b'\n', byte, b'\r', b'\n']);
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// An event of either protocol.
pub(crate) fn event(protocol: Protocol, data: &Value) -> String {
    match protocol {
        Protocol::Anthropic => format!(
            "event: {}\ndata: {data}\n\n",
            data["type"].as_str().unwrap_or("none")
        ),
        Protocol::OpenAi => format!("data: {data}\n\n"),
    }
}

/// What comes before the words.
pub(crate) fn begin(protocol: Protocol) -> String {
    match protocol {
        Protocol::Anthropic => [
            json!({ "type": "message_start", "message": { "id": "m", "role": "assistant", "content": [], "stop_reason": null } }),
            json!({ "type": "ping" }),
            json!({ "type": "something_new", "delta": 7 }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "signature_delta", "signature": "s" } }),
        ]
        .iter()
        .fold(String::new(), |events, data| events + &event(protocol, data)),
        Protocol::OpenAi => {
            let role =
                json!({ "id": "c", "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" }, "finish_reason": null }] });
            format!(": wait\n\n{}event: something_new\n\n{}", event(protocol, &role), event(protocol, &json!({ "choices": [] })))
        }
    }
}

pub(crate) fn text(protocol: Protocol, text: &str) -> String {
    event(
        protocol,
        &match protocol {
            Protocol::Anthropic => {
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } })
            }
            Protocol::OpenAi => {
                json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": "" }] })
            }
        },
    )
}

/// Each server that speaks `OpenAi` names it as it likes.
pub(crate) fn thinking(protocol: Protocol, text: &str) -> String {
    event(
        protocol,
        &match protocol {
            Protocol::Anthropic => {
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": text } })
            }
            Protocol::OpenAi if text.len().is_multiple_of(2) => {
                json!({ "choices": [{ "delta": { "reasoning_content": text, "reasoning": text } }] })
            }
            Protocol::OpenAi => {
                json!({ "choices": [{ "delta": { "reasoning": text, "content": null } }] })
            }
        },
    )
}

/// The orderly end, for the reason that the protocol calls so.
pub(crate) fn end(protocol: Protocol, reason: &str) -> String {
    match protocol {
        Protocol::Anthropic => {
            let stop = json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 9 } });
            event(
                protocol,
                &json!({ "type": "content_block_stop", "index": 0 }),
            ) + &event(protocol, &stop)
                + &event(protocol, &json!({ "type": "message_stop" }))
        }
        Protocol::OpenAi => {
            event(
                protocol,
                &json!({ "choices": [{ "delta": {}, "finish_reason": reason }] }),
            ) + "data: [DONE]\n\n"
        }
    }
}

/// The usual end.
pub(crate) fn stop(protocol: Protocol) -> String {
    end(
        protocol,
        if protocol == Protocol::Anthropic {
            "end_turn"
        } else {
            "stop"
        },
    )
}

/// The server gives up.
pub(crate) fn error(protocol: Protocol, message: &str) -> String {
    let error = json!({ "type": "overloaded_error", "message": message });
    event(
        protocol,
        &if protocol == Protocol::Anthropic {
            json!({ "type": "error", "error": error })
        } else {
            json!({ "error": error })
        },
    )
}

pub(crate) fn prompt(turns: Vec<Turn>) -> Prompt {
    Prompt {
        room: RoomId(1),
        agent: AgentId(2),
        name: AgentName::parse("Mina").unwrap(),
        system: "You are Mina.".into(),
        persona: AgentConfig::default().into(),
        turns,
        recalled: vec![],
    }
}

pub(crate) fn said(name: &str, text: &str) -> Turn {
    Turn {
        is_own: name == "Mina",
        is_from_user: name == "Ann",
        is_interrupted: false,
        name: name.into(),
        text: text.into(),
    }
}

/// All of an answer; neighbouring texts and thoughts are one.
pub(crate) async fn all(answer: &mut Composing) -> (Vec<Composed>, Option<Failure>) {
    let mut composed = Vec::new();
    while let Some(next) = timeout(Duration::from_secs(20), answer.next())
        .await
        .expect("an answer comes")
    {
        match (composed.last_mut(), next) {
            (_, Err(failure)) => {
                assert!(answer.next().await.is_none(), "nothing follows a failure");
                return (composed, Some(failure));
            }
            (Some(Composed::Text(before)), Ok(Composed::Text(more)))
            | (Some(Composed::Thinking(before)), Ok(Composed::Thinking(more))) => {
                write!(before, "{more}").unwrap();
            }
            (_, Ok(next)) => composed.push(next),
        }
    }
    (composed, None)
}
