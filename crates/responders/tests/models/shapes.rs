//! Tests of what servers really send instead of what their protocols describe.

use std::time::Duration;

use domain::{Composed, Responder as _};
use responders::{Model, ModelSettings, Protocol, SystemRole, TokenLimit};
use serde_json::{Value, json};

use crate::{
    BOTH, Outcome, ask, ask_events, greeting, prompt, read_all,
    server::{Script, Server},
    text, turn,
    wire::{self, begin, end, event, stop},
};

const OPEN_AI: Protocol = Protocol::OpenAi;
const ANTHROPIC: Protocol = Protocol::Anthropic;

fn yes(requests: usize) -> Outcome {
    Outcome::complete(vec![text("yes"), Composed::Done], requests)
}

/// Returns a script that sends a body that is not a stream.
fn whole(content_type: &str, body: &str) -> Script {
    Script::closing(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test]
async fn a_whole_answer_is_read_like_a_stream() {
    let open_ai = json!({
        "choices": [{
            "message": { "role": "assistant", "content": "yes", "reasoning_content": "hm" },
            "finish_reason": "stop",
        }],
    });
    let anthropic = json!({
        "type": "message",
        "content": [{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "yes" }],
        "stop_reason": "end_turn",
    });
    for (protocol, body) in [(OPEN_AI, open_ai), (ANTHROPIC, anthropic)] {
        for content_type in ["application/json", "text/event-stream", "text/plain"] {
            let scripts = vec![whole(content_type, &body.to_string())];
            let outcome = ask(protocol, scripts, |_| {}).await;
            let thinking = Composed::Thinking("hm".into());
            let expected = Outcome::complete(vec![thinking, text("yes"), Composed::Done], 1);
            assert_eq!(outcome, expected, "{protocol:?} {content_type}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_needs_no_reason_to_stop_and_may_repeat_its_text() {
    for choice in [
        json!({ "message": { "content": "yes" }, "finish_reason": null }),
        json!({ "delta": { "content": "yes" }, "message": { "content": "yes" } }),
    ] {
        let body = json!({ "choices": [choice] }).to_string();
        let outcome = ask(OPEN_AI, vec![whole("application/json", &body)], |_| {}).await;
        assert_eq!(outcome, yes(1), "{body}");
    }
}

#[tokio::test]
async fn the_value_of_a_header_is_not_shown() {
    let reason = r#"{"error":{"message":"invalid api-key secret-value"}}"#;
    let scripts = vec![Script::refusing(400, "", reason)];
    let outcome = ask(OPEN_AI, scripts, |settings| {
        settings.headers = [("api-key".to_owned(), "secret-value".to_owned().into())].into();
        assert!(!format!("{settings:?}").contains("secret-value"));
    })
    .await;
    let failed = "the model server rejected the request (400): invalid api-key …";
    assert_eq!(outcome, Outcome::failed(vec![], failed, 1));
}

#[tokio::test]
async fn an_error_with_a_successful_status_is_reported() {
    let reported = "the model server reported an error: no such model";
    for protocol in BOTH {
        let error = match protocol {
            Protocol::Anthropic => {
                json!({ "type": "error", "error": { "message": "no such model" } })
            }
            Protocol::OpenAi => json!({ "error": { "message": "no such model" } }),
        };
        let scripts = vec![whole("application/json", &error.to_string())];
        let failed = Outcome::failed(vec![], reported, 1);
        assert_eq!(ask(protocol, scripts, |_| {}).await, failed, "{protocol:?}");

        let page = "the model server sent a web page instead of an answer; check `base_url`";
        let scripts = vec![whole("text/html", "\n<!doctype html><p>Hello")];
        let failed = Outcome::failed(vec![], page, 1);
        assert_eq!(ask(protocol, scripts, |_| {}).await, failed, "{protocol:?}");
    }
    for error in [
        json!({ "object": "error", "message": "no such model", "code": 404 }),
        json!({ "detail": "no such model" }),
        json!({ "error": "no such model" }),
        json!([{ "error": { "message": "no such model" } }]),
        json!({ "choices": [{ "error": "no such model", "finish_reason": "error" }] }),
    ] {
        let in_stream = ask_events(OPEN_AI, event(OPEN_AI, &error)).await;
        assert_eq!(in_stream, Outcome::failed(vec![], reported, 1), "{error}");
    }
    // llama.cpp uses a field of its own.
    let field = "error: {\"code\":400,\"message\":\"no such model\"}\n\n";
    let outcome = ask_events(OPEN_AI, field).await;
    assert_eq!(outcome, Outcome::failed(vec![], reported, 1));
}

#[tokio::test]
async fn an_error_before_the_first_word_is_tried_again() {
    for protocol in BOTH {
        let answer = [begin(protocol), wire::text(protocol, "yes"), stop(protocol)].concat();
        let overloaded = begin(protocol) + &wire::error(protocol, "busy");
        let scripts = vec![Script::events(overloaded), Script::events(&answer)];
        assert_eq!(ask(protocol, scripts, |_| {}).await, yes(2), "{protocol:?}");
        // The connection is lost before the first word.
        let scripts = vec![Script::events(begin(protocol)), Script::events(&answer)];
        assert_eq!(ask(protocol, scripts, |_| {}).await, yes(2), "{protocol:?}");
    }
    let gave_up = json!({ "choices": [{ "delta": {}, "finish_reason": "abort" }] });
    let answer = wire::text(OPEN_AI, "yes") + &stop(OPEN_AI);
    let scripts = vec![
        Script::events(event(OPEN_AI, &gave_up)),
        Script::events(answer),
    ];
    assert_eq!(ask(OPEN_AI, scripts, |_| {}).await, yes(2));
}

#[tokio::test]
async fn an_answer_without_words_is_a_failure() {
    for (protocol, length) in BOTH.into_iter().zip(["max_tokens", "length"]) {
        let empty = Outcome::failed(vec![], "the model's answer is empty", 1);
        let outcome = ask_events(protocol, begin(protocol) + &stop(protocol)).await;
        assert_eq!(outcome, empty, "{protocol:?}");

        let thinking = wire::thinking(protocol, "so much");
        let used_up = "the model used up its tokens before its answer began; raise `max_tokens`";
        let outcome = ask_events(protocol, thinking + &end(protocol, length)).await;
        let thought = vec![Composed::Thinking("so much".into())];
        assert_eq!(
            outcome,
            Outcome::failed(thought, used_up, 1),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_reached_its_limit_is_cut() {
    for (protocol, reason) in [
        (ANTHROPIC, "max_tokens"),
        (ANTHROPIC, "model_context_window_exceeded"),
        (OPEN_AI, "length"),
    ] {
        let events = wire::text(protocol, "and so") + &end(protocol, reason);
        let outcome = ask_events(protocol, events).await;
        let cut = Outcome::complete(vec![text("and so"), Composed::Cut], 1);
        assert_eq!(outcome, cut, "{reason}");
    }
}

#[tokio::test]
async fn a_reason_to_stop_ends_the_answer_without_a_further_event() {
    for protocol in BOTH {
        let last = match protocol {
            Protocol::Anthropic => {
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } })
            }
            Protocol::OpenAi => json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }),
        };
        let events = wire::text(protocol, "yes") + &event(protocol, &last);
        assert_eq!(ask_events(protocol, events).await, yes(1), "{protocol:?}");
    }
}

#[tokio::test]
async fn the_text_may_be_a_list_of_parts_and_contain_the_thoughts() {
    let parts = json!([
        { "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] },
        { "type": "reference", "reference_ids": [1] },
        { "type": "text", "text": "yes" },
    ]);
    let parts = json!({ "choices": [{ "delta": { "content": parts } }] });
    let parts = event(OPEN_AI, &parts);
    let inline =
        |protocol| wire::text(protocol, "<thi") + &wire::text(protocol, "nk>hm</think>\n\nyes");
    for (protocol, events) in [
        (OPEN_AI, parts),
        (OPEN_AI, inline(OPEN_AI)),
        (ANTHROPIC, inline(ANTHROPIC)),
    ] {
        let outcome = ask_events(protocol, events + &stop(protocol)).await;
        let thinking = Composed::Thinking("hm".into());
        let expected = Outcome::complete(vec![thinking, text("yes"), Composed::Done], 1);
        assert_eq!(outcome, expected, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_refusal_in_its_own_field_is_a_failure() {
    let refusal = json!({ "choices": [{ "delta": { "refusal": "I can't" } }] });
    let outcome = ask_events(OPEN_AI, event(OPEN_AI, &refusal) + &stop(OPEN_AI)).await;
    let refused = Outcome::failed(vec![], "the model refused to answer", 1);
    assert_eq!(outcome, refused);
}

/// Asks a server for two answers. It refuses the first request with `reason`. Returns the bodies of
/// the three requests.
async fn bodies_after(reason: &str) -> [Value; 3] {
    let answer = Script::events(wire::text(OPEN_AI, "yes") + &stop(OPEN_AI));
    let reason = json!({ "error": { "message": reason } }).to_string();
    let mut server = Server::new([Script::refusing(400, "", &reason), answer]).await;
    let model = Model::new(server.settings(OPEN_AI)).unwrap();
    for _ in 0..2 {
        let answer = read_all(&mut model.respond(greeting())).await;
        assert_eq!(
            answer,
            (vec![text("yes"), Composed::Done], None),
            "{reason}"
        );
    }
    [
        server.request().await.body,
        server.request().await.body,
        server.request().await.body,
    ]
}

#[tokio::test]
async fn a_client_learns_the_form_that_the_server_accepts() {
    let [first, second, later] = bodies_after(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
         'max_completion_tokens' instead.",
    )
    .await;
    assert_eq!(first["max_tokens"], 2048);
    assert_eq!(second["max_tokens"], Value::Null);
    assert_eq!(second["max_completion_tokens"], 2048);
    assert_eq!(second, later);

    let [first, second, later] = bodies_after("System role not supported").await;
    assert_eq!(first["messages"][0]["role"], "system");
    assert_eq!(second["messages"].as_array().unwrap().len(), 1);
    assert_eq!(second["messages"][0]["role"], "user");
    let content = second["messages"][0]["content"].as_str().unwrap();
    assert!(content.starts_with("You are Mina.") && content.ends_with("Ann: Hello"));
    assert_eq!(second, later);
}

#[tokio::test]
async fn the_form_can_be_set() {
    let mut server =
        Server::new([Script::events(wire::text(OPEN_AI, "yes") + &stop(OPEN_AI))]).await;
    let mut settings = server.settings(OPEN_AI);
    settings.token_limit = TokenLimit::None;
    settings.system_role = SystemRole::User;
    settings.extra_fields = serde_json::from_value(json!({
        "temperature": 0.5,
        "stream": null,
    }))
    .unwrap();
    settings.headers = [("X-Title".to_owned(), "Greenroom".to_owned().into())].into();
    let model = Model::new(settings).unwrap();
    read_all(&mut model.respond(greeting())).await;
    let request = server.request().await;
    assert!(request.head.contains("x-title: greenroom"));
    assert_eq!(request.body["temperature"], 0.5);
    for absent in ["stream", "max_tokens", "max_completion_tokens"] {
        assert_eq!(request.body.get(absent), None);
    }
    assert_eq!(request.body["messages"][0]["role"], "user");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_sent_again_once_with_its_newer_half() {
    let too_long = json!({ "error": { "message": "maximum context length is 8192 tokens" } });
    let refusing = Script::refusing(400, "", &too_long.to_string());
    let prompt = prompt(vec![
        turn("Ann", "one"),
        turn("Ben", "two"),
        turn("Ann", "three"),
        turn("Ben", "four"),
    ]);
    for protocol in BOTH {
        let answer = Script::events(wire::text(protocol, "yes") + &stop(protocol));
        let mut server = Server::new([refusing.clone(), answer]).await;
        let model = Model::new(server.settings(protocol)).unwrap();
        let composed = read_all(&mut model.respond(prompt.clone())).await;
        assert_eq!(composed, (vec![text("yes"), Composed::Done], None));
        let whole = server.request().await.body.to_string();
        assert!(whole.contains("one") && whole.contains("four"), "{whole}");
        let half = server.request().await.body.to_string();
        assert!(!half.contains("two") && half.contains("three"), "{half}");

        let mut server = Server::new([refusing.clone()]).await;
        let model = Model::new(server.settings(protocol)).unwrap();
        let (_, failure) = read_all(&mut model.respond(prompt.clone())).await;
        assert!(failure.unwrap().text.contains("maximum context length"));
        assert_eq!(server.requests(), 2);
    }
}

#[tokio::test]
async fn a_server_may_name_the_time_of_the_next_attempt() {
    let past = "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let slow = |settings: &mut ModelSettings| {
        settings.first_pause = Duration::from_hours(1);
    };
    for protocol in BOTH {
        let answer = Script::events(wire::text(protocol, "yes") + &stop(protocol));
        let scripts = vec![Script::refusing(429, past, ""), answer.clone()];
        assert_eq!(ask(protocol, scripts, slow).await, yes(2), "{protocol:?}");
        // A long pause is left to the next message.
        let scripts = vec![Script::refusing(429, "retry-after: 3600\r\n", ""), answer];
        let failed = "the model server's rate limit is exceeded (429)";
        let outcome = ask(protocol, scripts, slow).await;
        assert_eq!(outcome, Outcome::failed(vec![], failed, 1), "{protocol:?}");
    }
}
