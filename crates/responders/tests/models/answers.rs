//! Tests of answers that stream and end without a failure.

use domain::{Composed, Responder as _};
use futures_util::{StreamExt as _, future::ready};
use responders::{Model, ModelSettings, Protocol};
use serde_json::json;

use crate::{
    BOTH, Outcome, ask, ask_events, greeting, read_all,
    server::{HEAD, Script, Server},
    text,
    wire::{self, begin, event, in_single_bytes, stop},
};

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_cut() {
    for protocol in BOTH {
        let events = [
            begin(protocol),
            wire::thinking(protocol, "What did "),
            wire::thinking(protocol, "Ann say?"),
            wire::text(protocol, "안녕"),
            wire::text(protocol, ", Ann!\n[rem"),
            wire::text(protocol, "ember] Ann came\nHow are"),
            wire::text(protocol, " you?"),
            stop(protocol),
        ]
        .concat();
        let composed = vec![
            Composed::Thinking("What did Ann say?".into()),
            text("안녕, Ann!\n"),
            Composed::Memory("Ann came".into()),
            text("How are you?"),
            Composed::Done,
        ];
        let with_carriage_returns = events.replace('\n', "\r\n");
        for script in [
            Script::events(&events),
            Script::holding(in_single_bytes(&events)),
            Script::closing(in_single_bytes(&with_carriage_returns)),
        ] {
            let expected = Outcome::complete(composed.clone(), 1);
            let outcome = ask(protocol, vec![script], |_| {}).await;
            assert_eq!(outcome, expected, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_directive_that_ends_the_answer_closes_the_connection() {
    for protocol in BOTH {
        for (line, end) in [
            ("[silent]\n", Composed::Silent),
            (
                "[recall] the garden\nand more",
                Composed::Recall("the garden".into()),
            ),
        ] {
            let bytes = [
                HEAD,
                &begin(protocol),
                &wire::text(protocol, line),
                &wire::text(protocol, "more"),
            ]
            .concat();
            let mut server = Server::new([Script::holding(bytes)]).await;
            let model = Model::new(server.settings(protocol)).unwrap();
            let mut answer = model.respond(greeting());
            assert_eq!(
                read_all(&mut answer).await,
                (vec![end], None),
                "{protocol:?}"
            );
            server.request().await;
            // The connection must be closed before the stream is dropped.
            server.closed().await;
            drop(answer);
        }
    }
}

#[tokio::test]
async fn a_dropped_answer_closes_the_connection() {
    for protocol in BOTH {
        let begun = [HEAD, &begin(protocol), &wire::text(protocol, "and so")].concat();
        for (bytes, has_text) in [(String::new(), false), (HEAD.into(), false), (begun, true)] {
            let mut server = Server::new([Script::holding(bytes)]).await;
            let model = Model::new(server.settings(protocol)).unwrap();
            let mut answer = model.respond(greeting());
            // The estimated tokens of the prompt come before the request is sent.
            answer.next().await.unwrap().unwrap();
            if has_text {
                let is_usage = |piece: &_| matches!(piece, Ok(Composed::Usage(_)));
                let mut pieces = (&mut answer).skip_while(|piece| ready(is_usage(piece)));
                assert_eq!(pieces.next().await.unwrap(), Ok(text("and so")));
                server.request().await;
            } else {
                tokio::select! {
                    _ = answer.next() => panic!("the server has sent no text"),
                    _ = server.request() => {}
                }
            }
            drop(answer);
            server.closed().await;
        }
    }
}

#[tokio::test]
async fn an_answer_ends_with_either_sign_of_the_end() {
    let open_ai = Protocol::OpenAi;
    let finish_reason = json!({ "choices": [{ "finish_reason": "stop" }] });
    for end in [
        "data: [DONE]\n\n".to_owned(),
        event(open_ai, &finish_reason),
    ] {
        let outcome = ask_events(open_ai, wire::text(open_ai, "yes") + &end).await;
        let complete = Outcome::complete(vec![text("yes"), Composed::Done], 1);
        assert_eq!(outcome, complete, "{end}");
    }
}

#[tokio::test]
async fn the_rest_of_an_event_that_ends_the_answer_is_ignored() {
    let open_ai = Protocol::OpenAi;
    let data = json!({
        "choices": [{ "delta": { "content": "[silent]\n" }, "finish_reason": "content_filter" }],
    });
    let outcome = ask_events(open_ai, event(open_ai, &data)).await;
    assert_eq!(outcome, Outcome::complete(vec![Composed::Silent], 1));
}

#[tokio::test]
async fn lines_for_others_are_left_out_unless_the_settings_keep_them() {
    for protocol in BOTH {
        let words = "Good evening.\nAnn: Hello, Mina!\nMina: How are you?";
        for (cuts_others, expected) in [(true, "Good evening.\nHow are you?"), (false, words)] {
            let events = [begin(protocol), wire::text(protocol, words), stop(protocol)].concat();
            let change = move |settings: &mut ModelSettings| settings.cuts_others = cuts_others;
            let outcome = ask(protocol, vec![Script::events(&events)], change).await;
            let said: String = outcome
                .composed
                .iter()
                .filter_map(|piece| match piece {
                    Composed::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(said, expected, "{protocol:?}");
        }
    }
}
