//! Models behind servers that answer well, badly, slowly, or not at all, in both protocols.

mod support;

use std::time::Duration;

use domain::{Composed, Failure, LongTermMemory, Responder as _};
use futures_util::StreamExt as _;
use responders::{INSTRUCTIONS, Model, ModelSettings, Protocol};
use serde_json::{Value, json};
use support::{
    BOTH, HEAD, KEY, Script, Seen, Server, all, begin, end, error, event, in_single_bytes, prompt,
    said, stop, text, thinking,
};

const SHORT: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_hours(1);

/// What is composed of these scripts, and how many requests it took.
async fn answered(
    protocol: Protocol,
    scripts: Vec<Script>,
    change: fn(&mut ModelSettings),
) -> (Vec<Composed>, Option<String>, usize) {
    let mut server = Server::new(scripts).await;
    let mut settings = server.settings(protocol);
    change(&mut settings);
    let model = Model::new(settings).unwrap();
    let (composed, failure) = all(&mut model.respond(prompt(vec![said("Ann", "Hello")]))).await;
    if let Some(Failure(text)) = &failure {
        assert!(
            !text.contains(KEY) && !text.contains("127.0.0.1") && !text.contains("/base"),
            "{text}"
        );
        assert!(
            text.chars().count() < 300 && !text.contains(char::is_control),
            "{text}"
        );
    }
    (
        composed,
        failure.map(|failure| failure.0),
        server.requests(),
    )
}

/// What is composed of these events.
async fn composed(protocol: Protocol, events: impl AsRef<[u8]>) -> (Vec<Composed>, Option<String>) {
    let (composed, failure, requests) =
        answered(protocol, vec![Script::events(events)], |_| {}).await;
    assert_eq!(
        requests, 1,
        "{protocol:?}: an answer that began is not asked for again"
    );
    (composed, failure)
}

fn words(words: &str) -> Composed {
    Composed::Text(words.into())
}

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_cut() {
    for protocol in BOTH {
        let events = [
            begin(protocol),
            thinking(protocol, "What did "),
            thinking(protocol, "Ann say?"),
            text(protocol, "안녕"),
            text(protocol, ", Ann!\n[rem"),
            text(protocol, "ember] Ann came\nHow are"),
            text(protocol, " you?"),
            stop(protocol),
        ]
        .concat();
        let whole = vec![
            Composed::Thinking("What did Ann say?".into()),
            words("안녕, Ann!\n"),
            Composed::Memory("Ann came".into()),
            words("How are you?"),
            Composed::Done,
        ];
        let with_carriage_returns = events.replace('\n', "\r\n");
        for script in [
            Script::events(&events),
            Script::holding(in_single_bytes(&events)),
            Script::closing(in_single_bytes(&with_carriage_returns)),
        ] {
            assert_eq!(
                answered(protocol, vec![script], |_| {}).await,
                (whole.clone(), None, 1),
                "{protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_says_it_is_over_closes_the_connection() {
    for protocol in BOTH {
        for (line, end) in [
            ("[silent]\n", Composed::Silent),
            (
                "[recall] the garden\nand more",
                Composed::Recall("the garden".into()),
            ),
        ] {
            let events = [
                HEAD,
                &begin(protocol),
                &text(protocol, line),
                &text(protocol, "more"),
            ]
            .concat();
            let mut server = Server::new([Script::holding(events)]).await;
            let mut answer = Model::new(server.settings(protocol))
                .unwrap()
                .respond(prompt(vec![said("Ann", "Hello")]));
            assert_eq!(all(&mut answer).await, (vec![end], None), "{protocol:?}");
            server.asked().await;
            // The stream still lives.
            assert!(matches!(server.next().await, Seen::Gone));
            drop(answer);
        }
    }
}

#[tokio::test]
async fn an_answer_without_words_is_silence() {
    for protocol in BOTH {
        assert_eq!(
            composed(protocol, begin(protocol) + &stop(protocol)).await,
            (vec![Composed::Silent], None),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_reached_its_limit_is_complete() {
    for (protocol, reason) in BOTH.into_iter().zip(["max_tokens", "length"]) {
        let events = [
            begin(protocol),
            text(protocol, "and so"),
            end(protocol, reason),
        ]
        .concat();
        assert_eq!(
            composed(protocol, events).await,
            (vec![words("and so"), Composed::Done], None),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_ends_with_either_sign_of_the_end() {
    let open_ai = Protocol::OpenAi;
    for end in [
        "data: [DONE]\n\n".to_owned(),
        event(
            open_ai,
            &json!({ "choices": [{ "finish_reason": "stop" }] }),
        ),
    ] {
        assert_eq!(
            composed(open_ai, text(open_ai, "yes") + &end).await,
            (vec![words("yes"), Composed::Done], None),
            "{end}"
        );
    }
}

#[tokio::test]
async fn what_follows_the_end_in_the_same_event_is_no_part_of_the_answer() {
    let open_ai = Protocol::OpenAi;
    let over = json!({ "choices": [{ "delta": { "content": "[silent]\n" }, "finish_reason": "content_filter" }] });
    assert_eq!(
        composed(open_ai, event(open_ai, &over)).await,
        (vec![Composed::Silent], None)
    );
}

#[tokio::test]
async fn a_model_that_declines_is_a_failure() {
    for (protocol, reason) in BOTH.into_iter().zip(["refusal", "content_filter"]) {
        let events = [begin(protocol), text(protocol, "I "), end(protocol, reason)].concat();
        assert_eq!(
            composed(protocol, events).await,
            (
                vec![words("I ")],
                Some("the model refused to answer".into())
            ),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_an_end_was_cut_off() {
    for protocol in BOTH {
        let events = begin(protocol) + &text(protocol, "and so");
        let cut_off = Some("the answer was cut off".to_owned());
        assert_eq!(
            composed(protocol, &events).await,
            (vec![words("and so")], cut_off.clone()),
            "{protocol:?}"
        );
        assert_eq!(
            composed(protocol, "").await,
            (vec![], cut_off.clone()),
            "{protocol:?}"
        );
        let chunk = format!("{:x}\r\n{events}\r\n", events.len());
        let lost = Script::closing(
            HEAD.replace("connection: close", "transfer-encoding: chunked") + &chunk,
        );
        assert_eq!(
            answered(protocol, vec![lost], |_| {}).await,
            (vec![words("and so")], cut_off, 1),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_stops_is_a_failure() {
    for protocol in BOTH {
        let script = Script::holding([HEAD, &begin(protocol), &text(protocol, "and so")].concat());
        let (composed, failure, requests) = answered(protocol, vec![script], |settings| {
            settings.idle_timeout = SHORT;
        })
        .await;
        assert_eq!(
            (composed, requests),
            (vec![words("and so")], 1),
            "{protocol:?}"
        );
        assert_eq!(
            failure.unwrap(),
            "the model server stopped in the middle of its answer"
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_a_failure() {
    for protocol in BOTH {
        for bytes in ["", HEAD, &format!("{HEAD}: wait\n\n")] {
            let (composed, failure, requests) =
                answered(protocol, vec![Script::holding(bytes)], |settings| {
                    settings.first_byte_timeout = SHORT;
                })
                .await;
            assert_eq!(
                (composed, failure.unwrap().as_str()),
                (vec![], "the model server did not begin to answer in time"),
                "{protocol:?}"
            );
            assert!(requests <= 1, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let garbage: [&[u8]; 5] = [
        b"data: nonsense\n\n",
        b"data: {\"type\":\"content\n\n",
        b"data: 7\n\n",
        b"data: \xff\xfe\n\n",
        b"data: {\"type\":\"text\xc3\"}\n\n",
    ];
    for protocol in BOTH {
        for bytes in garbage {
            let events = [
                begin(protocol).as_bytes(),
                text(protocol, "yes").as_bytes(),
                bytes,
                text(protocol, "no").as_bytes(),
            ]
            .concat();
            let (composed, failure) = composed(protocol, events).await;
            assert_eq!(composed, [words("yes")], "{protocol:?}");
            assert_eq!(
                failure.unwrap(),
                "the model server sent something that is no answer",
                "{protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_never_ends_is_not_kept() {
    // Half of it may come in one piece with what was understood.
    let megabytes = "x".repeat(2 << 20);
    for protocol in BOTH {
        for endless in [
            format!("data: {megabytes}"),
            megabytes.clone(),
            "data: x\n".repeat(1 << 18),
        ] {
            let (composed, failure) = composed(
                protocol,
                begin(protocol) + &text(protocol, "yes") + &endless,
            )
            .await;
            assert_eq!(composed, [words("yes")], "{protocol:?}");
            assert_eq!(
                failure.unwrap(),
                "the model server sent too much at once",
                "{protocol:?}"
            );
        }
        let line = text(protocol, "[remember] ") + &text(protocol, &"x".repeat(1 << 16)).repeat(17);
        let (composed, failure) = composed(protocol, begin(protocol) + &line).await;
        assert_eq!(
            (composed, failure.unwrap().as_str()),
            (vec![], "the answer is too long"),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_an_answer_is_told_in_short_and_without_secrets() {
    for protocol in BOTH {
        let message = format!("Over\u{1b}loaded:\n{KEY} {}", "x".repeat(500));
        let events = [
            begin(protocol),
            text(protocol, "and so"),
            error(protocol, &message),
            stop(protocol),
        ]
        .concat();
        let (composed, failure) = composed(protocol, events).await;
        assert_eq!(composed, [words("and so")], "{protocol:?}");
        let expected = format!(
            "the model server reported an error: Overloaded: … {}",
            "x".repeat(186)
        );
        assert_eq!(failure.unwrap(), expected, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_will_last_is_told_at_once() {
    let body = format!(r#"{{"error":{{"message":"no such thing for {KEY}"}}}}"#);
    let cases = [
        (
            302,
            "location: http://127.0.0.1:9/\r\n",
            "the model server wants to be asked elsewhere, which is not followed (302)",
        ),
        (
            400,
            "",
            "the model server refused the request (400): no such thing for …",
        ),
        (
            401,
            "retry-after: 0\r\n",
            "the model server refused the key (401)",
        ),
        (403, "", "the model server does not allow this (403)"),
        (
            404,
            "",
            "the model server does not know the model, or answers elsewhere (404): no such thing for …",
        ),
    ];
    for protocol in BOTH {
        for (status, headers, expected) in cases {
            let body = if status == 302 { "<html>" } else { &body };
            let answered = answered(
                protocol,
                vec![Script::refusing(status, headers, body)],
                |_| {},
            )
            .await;
            assert_eq!(answered, (vec![], Some(expected.into()), 1), "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_tried_again() {
    for protocol in BOTH {
        let answer =
            Script::events([begin(protocol), text(protocol, "yes"), stop(protocol)].concat());
        for status in [408, 429, 500, 502, 503, 529] {
            let scripts = vec![Script::refusing(status, "", "busy"), answer.clone()];
            assert_eq!(
                answered(protocol, scripts, |_| {}).await,
                (vec![words("yes"), Composed::Done], None, 2),
                "{protocol:?} {status}"
            );
        }
        // A server that goes away before it answers.
        let scripts = vec![Script::closing(""), Script::closing("HTTP/1.1 200"), answer];
        assert_eq!(
            answered(protocol, scripts, |_| {}).await,
            (vec![words("yes"), Composed::Done], None, 3),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_server_says_itself_when_it_wants_to_be_asked_again() {
    for protocol in BOTH {
        let answer =
            Script::events([begin(protocol), text(protocol, "yes"), stop(protocol)].concat());
        let scripts = vec![Script::refusing(429, "retry-after: 0\r\n", ""), answer];
        let answered = answered(protocol, scripts, |settings| settings.first_pause = HOUR).await;
        assert_eq!(
            answered,
            (vec![words("yes"), Composed::Done], None, 2),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn attempts_are_used_up() {
    for protocol in BOTH {
        let refusing = |status| vec![Script::refusing(status, "", "<html>")];
        let overloaded = Some("the model server is overloaded (529)".to_owned());
        assert_eq!(
            answered(protocol, refusing(529), |_| {}).await,
            (vec![], overloaded, 4),
            "{protocol:?}"
        );
        let failed = Some("the model server failed (500)".to_owned());
        assert_eq!(
            answered(protocol, refusing(500), |settings| settings.attempts = 2).await,
            (vec![], failed.clone(), 2),
            "{protocol:?}"
        );
        assert_eq!(
            answered(protocol, refusing(500), |settings| settings.attempts = 0).await,
            (vec![], failed, 1),
            "{protocol:?}"
        );
        let often = Some("the model server is asked too often (429)".to_owned());
        assert_eq!(
            answered(protocol, refusing(429), |settings| settings.attempts = 1).await,
            (vec![], often, 1),
            "{protocol:?}"
        );
        let unreached = Some("the model server cannot be reached".to_owned());
        assert_eq!(
            answered(protocol, vec![Script::closing("")], |_| {}).await,
            (vec![], unreached, 4),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reached() {
    for protocol in BOTH {
        let nobody =
            |settings: &mut ModelSettings| settings.base_url = "http://127.0.0.1:1/base".into();
        let unreached = Some("the model server cannot be reached".to_owned());
        assert_eq!(
            answered(protocol, vec![Script::closing("")], nobody).await,
            (vec![], unreached, 0),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_reached_with_it() {
    let server = Server::new([Script::closing("")]).await;
    let mut settings = server.settings(Protocol::OpenAi);
    settings.base_url = settings.base_url.replace("http:", "https:");
    match Model::new(settings) {
        Ok(model) => {
            let (_, failure) = all(&mut model.respond(prompt(vec![said("Ann", "Hello")]))).await;
            assert_eq!(failure.unwrap().0, "the model server cannot be reached");
        }
        Err(error) => assert_eq!(error, "this machine knows no certificate authorities"),
    }
}

#[tokio::test]
async fn a_dropped_answer_closes_the_connection() {
    for protocol in BOTH {
        let begun = [HEAD, &begin(protocol), &text(protocol, "and so")].concat();
        for (bytes, polled) in [(String::new(), false), (HEAD.into(), false), (begun, true)] {
            let mut server = Server::new([Script::holding(bytes)]).await;
            let mut answer = Model::new(server.settings(protocol))
                .unwrap()
                .respond(prompt(vec![said("Ann", "Hello")]));
            if polled {
                assert_eq!(answer.next().await.unwrap(), Ok(words("and so")));
                server.asked().await;
            } else {
                tokio::select! {
                    _ = answer.next() => panic!("nothing was said"),
                    _ = server.asked() => {}
                }
            }
            drop(answer);
            assert!(matches!(server.next().await, Seen::Gone), "{protocol:?}");
        }
    }
}

/// The head and the body of a request for this prompt.
async fn request(
    protocol: Protocol,
    prompt: domain::Prompt,
    change: fn(&mut ModelSettings),
) -> (String, Value) {
    let mut server = Server::new([Script::events(stop(protocol))]).await;
    let mut settings = server.settings(protocol);
    change(&mut settings);
    assert_eq!(
        all(&mut Model::new(settings).unwrap().respond(prompt)).await,
        (vec![Composed::Silent], None)
    );
    server.asked().await
}

#[tokio::test]
async fn a_request_is_what_the_protocol_wants() {
    let mut prompt = prompt(vec![
        said("Ann", "Hello"),
        said("Ben", "Hi"),
        said("Mina", "Hi both\n"),
        said("Mina", "!"),
        said("Ann", "So?"),
    ]);
    prompt.recalled = vec![LongTermMemory {
        title: "The garden".into(),
        text: "It rained.\n".into(),
    }];
    let system = format!("You are Mina.\n\n# Recalled: The garden\nIt rained.\n{INSTRUCTIONS}");
    let messages = vec![
        json!({ "role": "user", "content": "Ann: Hello\n\nBen: Hi" }),
        json!({ "role": "assistant", "content": "Hi both\n\n!" }),
        json!({ "role": "user", "content": "Ann: So?" }),
    ];

    let (head, body) = request(Protocol::Anthropic, prompt.clone(), |_| {}).await;
    assert!(
        head.starts_with("post /base/v1/messages http/1.1\r\n"),
        "{head}"
    );
    for header in [
        &format!("x-api-key: {KEY}"),
        "anthropic-version: 2023-06-01",
        "content-type: application/json",
    ] {
        assert_eq!(
            head.lines().filter(|line| line == &header).count(),
            1,
            "{header} in {head}"
        );
    }
    assert!(!head.contains("authorization"), "{head}");
    let expected = json!({ "model": "a-model", "max_tokens": 2048, "system": system, "messages": messages, "stream": true });
    assert_eq!(body, expected);

    let (head, body) = request(Protocol::OpenAi, prompt, |settings| settings.max_tokens = 7).await;
    assert!(
        head.starts_with("post /base/chat/completions http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.lines()
            .any(|line| line == format!("authorization: bearer {KEY}")),
        "{head}"
    );
    let messages = [
        vec![json!({ "role": "system", "content": system })],
        messages,
    ]
    .concat();
    assert_eq!(
        body,
        json!({ "model": "a-model", "max_tokens": 7, "messages": messages, "stream": true })
    );
}

#[tokio::test]
async fn a_conversation_begins_and_ends_with_the_user() {
    for protocol in BOTH {
        let (_, body) = request(
            protocol,
            prompt(vec![said("Mina", "Good morning!"), said("Mina", " ")]),
            |_| {},
        )
        .await;
        let messages = body["messages"].as_array().unwrap();
        let expected = [
            json!({ "role": "user", "content": "(The conversation begins.)" }),
            json!({ "role": "assistant", "content": "Good morning!" }),
            json!({ "role": "user", "content": "(Nobody has said anything since.)" }),
        ];
        assert!(messages.ends_with(&expected), "{protocol:?}: {messages:?}");
    }
}

#[tokio::test]
async fn a_budget_for_thoughts_comes_on_top_of_the_answer() {
    let prompt = || prompt(vec![said("Ann", "Hello")]);
    let (_, body) = request(Protocol::Anthropic, prompt(), |settings| {
        settings.thinking_budget = Some(1024);
    })
    .await;
    assert_eq!(
        (&body["thinking"], &body["max_tokens"]),
        (
            &json!({ "type": "enabled", "budget_tokens": 1024 }),
            &json!(3072)
        )
    );
    let (_, body) = request(Protocol::OpenAi, prompt(), |settings| {
        settings.thinking_budget = Some(1024);
    })
    .await;
    assert_eq!(
        (&body["thinking"], &body["max_tokens"]),
        (&Value::Null, &json!(2048))
    );
}

#[tokio::test]
async fn a_key_comes_without_the_end_of_its_line_and_may_be_missing() {
    for protocol in BOTH {
        let (head, _) = request(protocol, prompt(vec![said("Ann", "Hello")]), |settings| {
            settings.key = Some(format!("{KEY}\n").into());
        })
        .await;
        assert!(
            head.lines().any(|line| line.ends_with(KEY)),
            "{protocol:?}: {head}"
        );
        for key in [None, Some(" \n")] {
            let change = if key.is_none() {
                |settings: &mut ModelSettings| settings.key = None
            } else {
                |settings: &mut ModelSettings| settings.key = Some(" \n".into())
            };
            let (head, _) = request(protocol, prompt(vec![said("Ann", "Hello")]), change).await;
            assert!(
                !head.contains("authorization") && !head.contains("x-api-key"),
                "{protocol:?}: {head}"
            );
        }
    }
}

#[test]
fn a_key_is_shown_nowhere() {
    for settings in [
        ModelSettings::anthropic("a-model", KEY.into()),
        ModelSettings::open_ai("http://host/v1", "a-model", Some(KEY.into())),
    ] {
        for shown in [format!("{settings:?}"), format!("{:#?}", settings.clone())] {
            assert!(shown.contains("a-model") && !shown.contains(KEY), "{shown}");
        }
        if let Ok(model) = Model::new(settings) {
            let shown = format!("{model:?} {model:#?}");
            assert!(shown.contains("a-model") && !shown.contains(KEY), "{shown}");
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_without_being_repeated() {
    let bad_urls = [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://ann:pass@host/v1",
        "http://ann@host",
        "http://host/v1?key=pass",
        "http://host/#pass",
    ];
    for url in bad_urls {
        let error = Model::new(ModelSettings::open_ai(url, "a-model", None)).unwrap_err();
        assert!(
            error.starts_with("the model server's URL") && !error.contains("pass"),
            "{url}: {error}"
        );
    }
    let error = Model::new(ModelSettings::open_ai(
        "http://host/v1",
        "a-model",
        Some("two\nlines".into()),
    ))
    .unwrap_err();
    assert_eq!(error, "the key has characters that no key has");
}
