//! Tests of models on servers that answer well, badly, slowly, or not at all, in both protocols.

mod answers;
mod failures;
mod requests;
mod retries;
mod server;
mod settings;
mod shapes;
mod usage;
mod wire;

use std::{fmt::Write as _, time::Duration};

use domain::{
    AgentConfig, AgentId, AgentName, Composed, Composing, Failure, Prompt, Responder as _, RoomId,
    Turn,
};
use futures_util::StreamExt as _;
use responders::{Model, ModelSettings, Protocol};
use tokio::time::timeout;

use server::{KEY, Script, Server};

const BOTH: [Protocol; 2] = [Protocol::Anthropic, Protocol::OpenAi];

/// The longest time that a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(20);

fn prompt(turns: Vec<Turn>) -> Prompt {
    Prompt {
        room: RoomId(1),
        agent: AgentId(2),
        name: AgentName::parse("Mina").unwrap(),
        system: "You are Mina.".into(),
        memories: String::new(),
        remembers: true,
        persona: AgentConfig::default().into(),
        turns,
        recalled: vec![],
        traceparent: None,
    }
}

/// Returns a turn. Mina is the answering agent, Ann is a person, and any other name is another
/// agent.
fn turn(name: &str, text: &str) -> Turn {
    Turn {
        is_own: name == "Mina",
        is_from_user: name == "Ann",
        is_interrupted: false,
        name: name.into(),
        text: text.into(),
        image: None,
    }
}

/// Returns a prompt in which Ann greets.
fn greeting() -> Prompt {
    prompt(vec![turn("Ann", "Hello")])
}

fn text(text: &str) -> Composed {
    Composed::Text(text.into())
}

/// A complete or failed answer, and the number of requests that it took.
#[derive(Debug, PartialEq)]
struct Outcome {
    composed: Vec<Composed>,
    failure: Option<String>,
    requests: usize,
}

impl Outcome {
    /// Returns the outcome of an answer that is complete.
    fn complete(composed: Vec<Composed>, requests: usize) -> Self {
        Self {
            composed,
            failure: None,
            requests,
        }
    }

    /// Returns the outcome of an answer that failed after the pieces in `composed`.
    fn failed(composed: Vec<Composed>, failure: &str, requests: usize) -> Self {
        Self {
            composed,
            failure: Some(failure.to_owned()),
            requests,
        }
    }
}

/// Asks a server that follows `scripts` for an answer, with settings changed by `change`. Asserts
/// that a failure contains neither the key nor the server's address.
async fn ask(
    protocol: Protocol,
    scripts: Vec<Script>,
    change: impl FnOnce(&mut ModelSettings),
) -> Outcome {
    let mut server = Server::new(scripts).await;
    let mut settings = server.settings(protocol);
    change(&mut settings);
    let model = Model::new(settings).unwrap();
    let (composed, failure) = read_all(&mut model.respond(greeting())).await;
    if let Some(Failure { text, .. }) = &failure {
        for hidden in [KEY, "127.0.0.1", "/base"] {
            assert!(!text.contains(hidden), "{hidden} is shown in: {text}");
        }
        assert!(
            text.chars().count() < 300 && !text.contains(char::is_control),
            "a failure must be short and on one line: {text}"
        );
    }
    Outcome {
        composed,
        failure: failure.map(|failure| failure.text),
        requests: server.requests(),
    }
}

/// Asks a server that sends `events` for an answer. Asserts that there was one request, because an
/// answer that has begun must not be requested again.
async fn ask_events(protocol: Protocol, events: impl AsRef<[u8]>) -> Outcome {
    let outcome = ask(protocol, vec![Script::events(events)], |_| {}).await;
    assert_eq!(outcome.requests, 1, "{protocol:?}");
    outcome
}

/// Reads an answer to its end. Neighbouring texts and thoughts are joined. The numbers of tokens
/// are left out; the tests of `usage` read them.
async fn read_all(answer: &mut Composing) -> (Vec<Composed>, Option<Failure>) {
    let mut composed = Vec::new();
    while let Some(next) = timeout(PATIENCE, answer.next())
        .await
        .expect("the answer continues")
    {
        match (composed.last_mut(), next) {
            (_, Err(failure)) => {
                assert!(answer.next().await.is_none(), "a failure ends the answer");
                return (composed, Some(failure));
            }
            (_, Ok(Composed::Usage(_))) => {}
            (Some(Composed::Text(before)), Ok(Composed::Text(more)))
            | (Some(Composed::Thinking(before)), Ok(Composed::Thinking(more))) => {
                write!(before, "{more}").unwrap();
            }
            (_, Ok(next)) => composed.push(next),
        }
    }
    (composed, None)
}
