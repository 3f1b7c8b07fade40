//! Tests of answers that begin and then fail, and of answers that never begin.

use std::time::Duration;

use crate::{
    BOTH, Outcome, ask, ask_events,
    server::{HEAD, KEY, Script},
    text,
    wire::{self, begin, end, error, stop},
};

/// A timeout for servers that send nothing more, short so that the tests end soon.
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_model_that_refuses_is_a_failure() {
    for (protocol, reason) in BOTH.into_iter().zip(["refusal", "content_filter"]) {
        let events = [
            begin(protocol),
            wire::text(protocol, "I "),
            end(protocol, reason),
        ]
        .concat();
        let outcome = ask_events(protocol, events).await;
        let failed = Outcome::failed(vec![text("I ")], "the model refused to answer", 1);
        assert_eq!(outcome, failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_incomplete() {
    let incomplete = "the model server ended the response before the answer was complete";
    for protocol in BOTH {
        let events = begin(protocol) + &wire::text(protocol, "and so");
        let failed = Outcome::failed(vec![text("and so")], incomplete, 1);
        assert_eq!(ask_events(protocol, &events).await, failed, "{protocol:?}");

        // The answer is requested again, because nobody has seen a part of it.
        let empty = Outcome::failed(vec![], incomplete, 4);
        let outcome = ask(protocol, vec![Script::events("")], |_| {}).await;
        assert_eq!(outcome, empty, "{protocol:?}");

        let head = HEAD.replace("connection: close", "transfer-encoding: chunked");
        let chunk = format!("{:x}\r\n{events}\r\n", events.len());
        let lost = vec![Script::closing(head + &chunk)];
        assert_eq!(ask(protocol, lost, |_| {}).await, failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_answer_that_stops_is_a_failure() {
    for protocol in BOTH {
        let bytes = [HEAD, &begin(protocol), &wire::text(protocol, "and so")].concat();
        let outcome = ask(protocol, vec![Script::holding(bytes)], |settings| {
            settings.idle_timeout = SHORT;
        })
        .await;
        let failure = "the model server sent nothing for 100ms in the middle of its answer";
        let failed = Outcome::failed(vec![text("and so")], failure, 1);
        assert_eq!(outcome, failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_a_failure() {
    for protocol in BOTH {
        for bytes in ["", HEAD, &format!("{HEAD}: wait\n\n")] {
            let outcome = ask(protocol, vec![Script::holding(bytes)], |settings| {
                settings.first_byte_timeout = SHORT;
                settings.attempts = 1;
            })
            .await;
            let failure = "the model server did not begin its answer within 100ms";
            assert_eq!(outcome.composed, [], "{protocol:?}");
            assert_eq!(outcome.failure.as_deref(), Some(failure), "{protocol:?}");
            // On a slow machine the timeout may pass before the request is sent.
            assert!(outcome.requests <= 1, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_malformed_event_is_a_failure() {
    let malformed: [&[u8]; 5] = [
        b"data: nonsense\n\n",
        b"data: {\"type\":\"content\n\n",
        b"data: 7\n\n",
        b"data: \xff\xfe\n\n",
        b"data: {\"type\":\"text\xc3\"}\n\n",
    ];
    for protocol in BOTH {
        for event in malformed {
            let events = [
                begin(protocol).as_bytes(),
                wire::text(protocol, "yes").as_bytes(),
                event,
                wire::text(protocol, "no").as_bytes(),
            ]
            .concat();
            let outcome = ask_events(protocol, events).await;
            let failure = "the model server sent a malformed event";
            let failed = Outcome::failed(vec![text("yes")], failure, 1);
            assert_eq!(outcome, failed, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn endless_events_and_lines_are_bounded() {
    // Twice the bound, because the bytes in the same chunk as the end of the last complete event
    // are not counted.
    let megabytes = "x".repeat(2 << 20);
    for protocol in BOTH {
        for endless in [
            format!("data: {megabytes}"),
            megabytes.clone(),
            "data: x\n".repeat(1 << 18),
        ] {
            let events = begin(protocol) + &wire::text(protocol, "yes") + &endless;
            let outcome = ask_events(protocol, events).await;
            let failure = "the model server sent an event of more than 1 MiB";
            let failed = Outcome::failed(vec![text("yes")], failure, 1);
            assert_eq!(outcome, failed, "{protocol:?}");
        }
        let line = wire::text(protocol, "[remember] ")
            + &wire::text(protocol, &"x".repeat(1 << 16)).repeat(17);
        let outcome = ask_events(protocol, begin(protocol) + &line).await;
        let failed = Outcome::failed(vec![], "the model's answer is longer than 1 MiB", 1);
        assert_eq!(outcome, failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_of_an_answer_is_reported_in_short_and_without_secrets() {
    for protocol in BOTH {
        let message = format!("Over\u{1b}loaded:\n{KEY} {}", "x".repeat(500));
        let events = [
            begin(protocol),
            wire::text(protocol, "and so"),
            error(protocol, &message),
            stop(protocol),
        ]
        .concat();
        let outcome = ask_events(protocol, events).await;
        let cut = "x".repeat(186);
        let failure = format!("the model server reported an error: Overloaded: … {cut}");
        let failed = Outcome::failed(vec![text("and so")], &failure, 1);
        assert_eq!(outcome, failed, "{protocol:?}");
    }
}
