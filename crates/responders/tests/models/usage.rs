//! Tests of the number of tokens, as servers report it.

use domain::{Composed, FailureKind, Responder as _, Usage};
use futures_util::StreamExt as _;
use responders::{Model, Protocol};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    PATIENCE, greeting,
    server::{HEAD, Script, Server},
    wire::{self, event, stop},
};

/// Returns the last usage of an answer, and the pieces besides.
async fn usage_of(protocol: Protocol, scripts: Vec<Script>) -> (Usage, Vec<Composed>) {
    let mut server = Server::new(scripts).await;
    let model = Model::new(server.settings(protocol)).unwrap();
    let mut answer = model.respond(greeting());
    let (mut usage, mut others) = (Usage::default(), Vec::new());
    while let Some(piece) = timeout(PATIENCE, answer.next()).await.unwrap() {
        match piece {
            Ok(Composed::Usage(latest)) => usage = latest,
            Ok(other) => others.push(other),
            Err(_) => break,
        }
    }
    assert_eq!(usage.requests, server.requests() as u64);
    (usage, others)
}

fn tokens(input: u64, output: u64, cached: u64) -> Usage {
    Usage {
        input,
        output,
        cached,
        requests: 1,
    }
}

/// Returns the event with which OpenAI's protocol ends an answer, without the end of the stream.
fn finish() -> String {
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    event(Protocol::OpenAi, &json!({ "choices": [choice] }))
}

#[tokio::test]
async fn anthropic_counts_the_parts_of_the_prompt_apart_and_the_answer_at_its_end() {
    let protocol = Protocol::Anthropic;
    let start = json!({"type": "message_start", "message": {"usage": {
        "input_tokens": 20, "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 4_000, "output_tokens": 1,
    }}});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 57}});
    let events = [
        event(protocol, &start),
        wire::text(protocol, "Hello"),
        event(protocol, &end),
    ]
    .concat();
    let (usage, pieces) = usage_of(protocol, vec![Script::events(events)]).await;
    assert_eq!(usage, tokens(4_320, 57, 4_000));
    assert_eq!(pieces.last(), Some(&Composed::Done));
}

#[tokio::test]
async fn an_interrupted_answer_of_anthropic_has_the_tokens_of_its_prompt() {
    let protocol = Protocol::Anthropic;
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 20}}});
    let events = [event(protocol, &start), wire::text(protocol, "Hello")].concat();
    let script = Script::closing([HEAD, &events].concat());
    let (usage, _) = usage_of(protocol, vec![script]).await;
    // The server did not count the answer. Its tokens are estimated, and it has less than one.
    assert_eq!(usage, tokens(20, 0, 0));
}

#[tokio::test]
async fn openai_counts_behind_the_end_of_the_answer() {
    let protocol = Protocol::OpenAi;
    let counts = [
        json!({"prompt_tokens": 900, "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 800}}),
        json!({"prompt_tokens": 900, "completion_tokens": 30, "prompt_cache_hit_tokens": 800}),
    ];
    for counts in counts {
        let counts = json!({"choices": [], "usage": counts});
        let text = wire::text(protocol, "Hello");
        let events = [text, finish(), event(protocol, &counts)].concat();
        // The connection stays open: the counts end the answer.
        let script = Script::holding([HEAD, &events].concat());
        let (usage, pieces) = usage_of(protocol, vec![script]).await;
        assert_eq!(usage, tokens(900, 30, 800));
        assert_eq!(pieces.last(), Some(&Composed::Done));
    }
}

#[tokio::test]
async fn a_server_that_counts_nothing_does_not_hold_up_the_end_of_an_answer() {
    let protocol = Protocol::OpenAi;
    let events = [wire::text(protocol, "Hello"), finish()].concat();
    let script = Script::holding([HEAD, &events].concat());
    let began = std::time::Instant::now();
    let (usage, pieces) = usage_of(protocol, vec![script]).await;
    assert_eq!(pieces.last(), Some(&Composed::Done));
    // The tokens are estimated.
    assert!(usage.input > 100 && usage.input < 400, "{usage:?}");
    assert_eq!(usage, tokens(usage.input, 1, 0));
    assert!(began.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn a_whole_answer_is_counted_too() {
    for (protocol, whole) in [
        (
            Protocol::Anthropic,
            json!({"type": "message", "content": [{"type": "text", "text": "Hello"}],
                "stop_reason": "end_turn", "usage": {"input_tokens": 9, "output_tokens": 3}}),
        ),
        (
            Protocol::OpenAi,
            json!({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3}}),
        ),
    ] {
        let body = whole.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let script = Script::closing(head + &body);
        let (usage, _) = usage_of(protocol, vec![script]).await;
        assert_eq!(usage, tokens(9, 3, 0), "{protocol:?}");
    }
}

#[tokio::test]
async fn attempts_that_failed_are_counted_as_requests() {
    for protocol in [Protocol::Anthropic, Protocol::OpenAi] {
        let answer = [wire::text(protocol, "Hello"), stop(protocol)].concat();
        let scripts = vec![
            Script::refusing(503, "retry-after: 0\r\n", "{}"),
            Script::events(answer),
        ];
        let (usage, _) = usage_of(protocol, scripts).await;
        assert_eq!(usage.requests, 2, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_option_is_asked_without_it() {
    let protocol = Protocol::OpenAi;
    let answer = [wire::text(protocol, "Hello"), stop(protocol)].concat();
    let reason =
        r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let scripts = [
        Script::refusing(400, "", reason),
        Script::events(&answer),
        Script::events(&answer),
    ];
    let mut server = Server::new(scripts).await;
    let model = Model::new(server.settings(protocol)).unwrap();
    for asks_again in [true, false] {
        let mut answer = model.respond(greeting());
        while let Some(piece) = timeout(PATIENCE, answer.next()).await.unwrap() {
            piece.unwrap();
        }
        let options = |request: &crate::server::Request| request.body["stream_options"].clone();
        if asks_again {
            let first = server.request().await;
            assert_eq!(options(&first), json!({"include_usage": true}));
        }
        let next = server.request().await;
        assert!(options(&next).is_null());
    }
}

#[tokio::test]
async fn a_failure_has_a_kind() {
    for (status, kind) in [
        (401, FailureKind::Rejected),
        (413, FailureKind::TooLong),
        (429, FailureKind::RateLimit),
        (504, FailureKind::Timeout),
        (500, FailureKind::Server),
    ] {
        let script = || Script::refusing(status, "", "{}");
        let mut server = Server::new([script(), script(), script(), script()]).await;
        let mut settings = server.settings(Protocol::OpenAi);
        settings.attempts = 1;
        let model = Model::new(settings).unwrap();
        let pieces: Vec<_> = model.respond(greeting()).collect().await;
        // Only the request is counted.
        assert_eq!(
            pieces[1],
            Ok(Composed::Usage(Usage {
                requests: 1,
                ..Usage::default()
            }))
        );
        let failure = pieces[2].as_ref().unwrap_err();
        assert_eq!(failure.kind, kind, "{status}");
        assert!(server.requests() > 0);
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_before_its_first_word_has_the_estimated_tokens_of_its_prompt() {
    for protocol in [Protocol::Anthropic, Protocol::OpenAi] {
        let server = Server::new([Script::holding(HEAD)]).await;
        let model = Model::new(server.settings(protocol)).unwrap();
        let first = model.respond(greeting()).next().await.unwrap().unwrap();
        let Composed::Usage(usage) = first else {
            panic!("{first:?}");
        };
        assert!(usage.input > 100 && usage.requests == 1, "{usage:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_before_its_first_word_is_counted() {
    let protocol = Protocol::OpenAi;
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "length"});
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2048}});
    let events = [
        event(protocol, &json!({ "choices": [choice] })),
        event(protocol, &counts),
    ];
    let (usage, pieces) = usage_of(protocol, vec![Script::events(events.concat())]).await;
    assert_eq!((usage, pieces), (tokens(9, 2048, 0), vec![]));
}

#[tokio::test]
async fn what_the_server_counts_corrects_the_estimate() {
    let protocol = Protocol::OpenAi;
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 2_000}});
    let counted = [
        wire::text(protocol, "Hello"),
        finish(),
        event(protocol, &counts),
    ]
    .concat();
    let server = Server::new([Script::holding([HEAD, &counted].concat())]).await;
    let mut settings = server.settings(protocol);
    settings.context_tokens = Some(10_000);
    let model = Model::new(settings).unwrap();
    let before = model.history_bytes().unwrap();
    let pieces: Vec<_> = model.respond(greeting()).collect().await;
    assert_eq!(pieces.last(), Some(&Ok(Composed::Done)));
    // A token had less than one byte.
    assert!(model.history_bytes().unwrap() * 3 < before);
}
