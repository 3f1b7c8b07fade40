//! Tests of attempts that fail before an answer begins, and of the cases in which they are
//! repeated.

use std::time::Duration;

use domain::{Composed, Responder as _};
use responders::{Model, ModelError, ModelSettings, Protocol};

use crate::{
    BOTH, Outcome, ask, greeting, read_all,
    server::{KEY, Script, Server},
    text,
    wire::{self, begin, stop},
};

const UNREACHABLE: &str = "could not connect to the model server";

/// Returns a script that answers `yes`.
fn answering(protocol: Protocol) -> Script {
    Script::events([begin(protocol), wire::text(protocol, "yes"), stop(protocol)].concat())
}

fn answered(requests: usize) -> Outcome {
    Outcome::complete(vec![text("yes"), Composed::Done], requests)
}

#[tokio::test]
async fn a_permanent_refusal_is_reported_at_once() {
    struct Case {
        status: u16,
        headers: &'static str,
        failure: &'static str,
    }
    let case = |status, headers, failure| Case {
        status,
        headers,
        failure,
    };
    let cases = [
        case(
            302,
            "location: http://127.0.0.1:9/\r\n",
            "the model server redirects to another address, which is not followed (302)",
        ),
        case(
            400,
            "",
            "the model server rejected the request (400): no such thing for …",
        ),
        case(
            401,
            "retry-after: 0\r\n",
            "the model server rejected the API key (401)",
        ),
        case(403, "", "the model server denied access (403)"),
        case(
            404,
            "",
            "the model server knows no such model or path; check `model` and `base_url` (404): \
             no such thing for …",
        ),
    ];
    let reason = format!(r#"{{"error":{{"message":"no such thing for {KEY}"}}}}"#);
    for protocol in BOTH {
        for case in &cases {
            let body = if case.status == 302 {
                "<html>"
            } else {
                &reason
            };
            let script = Script::refusing(case.status, case.headers, body);
            let outcome = ask(protocol, vec![script], |_| {}).await;
            assert_eq!(
                outcome,
                Outcome::failed(vec![], case.failure, 1),
                "{protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_transient_refusal_is_tried_again() {
    for protocol in BOTH {
        let answer = answering(protocol);
        for status in [408, 429, 500, 502, 503, 529] {
            let scripts = vec![Script::refusing(status, "", "busy"), answer.clone()];
            let outcome = ask(protocol, scripts, |_| {}).await;
            assert_eq!(outcome, answered(2), "{protocol:?} {status}");
        }
        // The connection is lost before a response.
        let scripts = vec![Script::closing(""), Script::closing("HTTP/1.1 200"), answer];
        let outcome = ask(protocol, scripts, |_| {}).await;
        assert_eq!(outcome, answered(3), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_server_chooses_the_pause_before_the_next_attempt() {
    for protocol in BOTH {
        let busy = Script::refusing(429, "retry-after: 0\r\n", "");
        let outcome = ask(protocol, vec![busy, answering(protocol)], |settings| {
            settings.first_pause = Duration::from_hours(1);
        })
        .await;
        assert_eq!(outcome, answered(2), "{protocol:?}");
    }
}

#[tokio::test]
async fn the_number_of_attempts_is_bounded() {
    let refusing = |status| vec![Script::refusing(status, "", "<html>")];
    let failed = |failure, requests| Outcome::failed(vec![], failure, requests);
    for protocol in BOTH {
        assert_eq!(
            ask(protocol, refusing(529), |_| {}).await,
            failed("the model server is overloaded (529)", 4),
            "{protocol:?}"
        );
        assert_eq!(
            ask(protocol, refusing(500), |settings| settings.attempts = 2).await,
            failed("the model server failed (500)", 2),
            "{protocol:?}"
        );
        assert_eq!(
            ask(protocol, refusing(500), |settings| settings.attempts = 0).await,
            failed("the model server failed (500)", 1),
            "{protocol:?}"
        );
        assert_eq!(
            ask(protocol, refusing(429), |settings| settings.attempts = 1).await,
            failed("the model server's rate limit is exceeded (429)", 1),
            "{protocol:?}"
        );
        assert_eq!(
            ask(protocol, vec![Script::closing("")], |_| {}).await,
            failed(UNREACHABLE, 4),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let elsewhere =
        |settings: &mut ModelSettings| settings.base_url = "http://127.0.0.1:1/base".into();
    for protocol in BOTH {
        let outcome = ask(protocol, vec![Script::closing("")], elsewhere).await;
        assert_eq!(
            outcome,
            Outcome::failed(vec![], UNREACHABLE, 0),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_is_unreachable_by_https() {
    let server = Server::new([Script::closing("")]).await;
    let mut settings = server.settings(Protocol::OpenAi);
    settings.base_url = settings.base_url.replace("http:", "https:");
    match Model::new(settings) {
        Ok(model) => {
            let (_, failure) = read_all(&mut model.respond(greeting())).await;
            assert_eq!(failure.unwrap().text, UNREACHABLE);
        }
        // The machine that runs the test may have no certificate authorities.
        Err(error) => assert!(
            matches!(error, ModelError::CertificateAuthorities(_)),
            "{error}"
        ),
    }
}
