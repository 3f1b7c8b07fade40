//! Failures of a model server, as messages for the room's owner. A message contains neither the key
//! nor the server's address, and only a short part of the server's own text.

use std::time::{Duration, SystemTime};

use domain::{Failure, FailureKind};
use serde_json::Value;

/// The greatest number of characters of a server's text in a message: enough for the first
/// sentence. Some servers reply with a whole HTML page.
const MAX_REASON: usize = 200;
/// The longest pause that a server can ask for. With a longer one, users would wait too long for
/// the failure, so the request is not repeated.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// The text that replaces a secret.
const HIDDEN: &str = "…";

/// An attempt that failed before an answer began.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct FailedAttempt {
    pub(crate) failure: Failure,
    /// `true` if another attempt may succeed.
    pub(crate) is_transient: bool,
    /// The pause that the server asks for before the next attempt.
    pub(crate) retry_after: Option<Duration>,
    /// The server's own text, which may contain secrets. It is compared with known texts, and never
    /// shown.
    pub(crate) reason: String,
    /// `true` if the server refused the length of the prompt.
    pub(crate) is_about_length: bool,
}

impl FailedAttempt {
    /// Returns a failed attempt that must not be repeated, because it would fail again.
    pub(crate) fn permanent(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            failure: Failure::new(kind, text),
            is_transient: false,
            retry_after: None,
            reason: String::new(),
            is_about_length: false,
        }
    }

    /// Returns a failed attempt that may succeed later.
    pub(crate) fn transient(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            is_transient: true,
            ..Self::permanent(kind, text)
        }
    }

    /// Returns the failure of an attempt that could not connect, or whose connection was lost
    /// before a response.
    pub(crate) fn unreachable() -> Self {
        let text = "could not connect to the model server";
        Self::transient(FailureKind::Unreachable, text)
    }

    /// Returns the failure of an attempt in which no answer began in time. The model may be loaded
    /// meanwhile, so the next attempt may succeed.
    pub(crate) fn not_begun(wait: Duration) -> Self {
        let text = format!("the model server did not begin its answer within {wait:?}");
        Self::transient(FailureKind::Timeout, text)
    }

    /// Returns the failure of a response with an error status and a body.
    pub(crate) fn of_status(
        status: u16,
        retry_after: Option<&str>,
        body: &Value,
        secrets: &[String],
    ) -> Self {
        let meaning = match status {
            300..=399 => "the model server redirects to another address, which is not followed",
            401 => "the model server rejected the API key",
            403 => "the model server denied access",
            404 => "the model server knows no such model or path; check `model` and `base_url`",
            408 | 504 => "the model server timed out",
            413 => "the conversation is too long for the model server",
            429 => "the model server's rate limit is exceeded",
            503 | 529 => "the model server is overloaded",
            500..=599 => "the model server failed",
            _ => "the model server rejected the request",
        };
        let error = body.get("error").unwrap_or(body);
        // The reason is left out, because servers repeat a part of the key that they reject.
        let shown = match status {
            401 | 403 => String::new(),
            _ => readable_reason(error, secrets),
        };
        let shown = if shown.is_empty() {
            shown
        } else {
            format!(": {shown}")
        };
        let retry_after =
            retry_after.and_then(|header| parse_retry_after(header, SystemTime::now()));
        let is_about_length = status == 413 || (status != 429 && names_length(message_of(error)));
        let kind = if is_about_length {
            FailureKind::TooLong
        } else {
            kind_of_status(status)
        };
        Self {
            failure: Failure::new(kind, format!("{meaning} ({status}){shown}")),
            is_about_length,
            is_transient: matches!(status, 408 | 429 | 500..=599)
                && !is_about_length
                && retry_after.is_none_or(|pause| pause <= MAX_RETRY_AFTER),
            retry_after,
            reason: message_of(error).to_owned(),
        }
    }
}

fn kind_of_status(status: u16) -> FailureKind {
    match status {
        408 | 504 => FailureKind::Timeout,
        429 => FailureKind::RateLimit,
        500..=599 => FailureKind::Server,
        _ => FailureKind::Rejected,
    }
}

/// Returns `true` if a server's text says that the prompt is too long.
fn names_length(reason: &str) -> bool {
    const WORDS: [&str; 9] = [
        "context length",
        "context window",
        "context size",
        "context limit",
        "maximum context",
        "prompt is too long",
        "input is too long",
        "input length",
        "input token count",
    ];
    let reason = reason.to_lowercase();
    WORDS.iter().any(|words| reason.contains(words))
}

/// Parses the header `Retry-After`: seconds, or a date.
fn parse_retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let seconds = header.parse().map(Duration::from_secs).ok();
    seconds.or_else(|| {
        let date = httpdate::parse_http_date(header).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO))
    })
}

/// Returns the failure that a server reports in the course of an answer.
pub(crate) fn reported(error: &Value, secrets: &[String]) -> FailedAttempt {
    let text = match readable_reason(error, secrets).as_str() {
        "" => "the model server reported an error".to_owned(),
        reason => format!("the model server reported an error: {reason}"),
    };
    let is_about_length = names_length(message_of(error));
    let is_transient = is_transient(error) && !is_about_length;
    let kind = if is_about_length {
        FailureKind::TooLong
    } else if is_transient {
        FailureKind::Server
    } else {
        // The server would report the same of the same prompt.
        FailureKind::Rejected
    };
    FailedAttempt {
        is_about_length,
        is_transient,
        reason: message_of(error).to_owned(),
        ..FailedAttempt::permanent(kind, text)
    }
}

/// Returns `true` if a reported error may be gone at the next attempt.
fn is_transient(error: &Value) -> bool {
    const TYPES: [&str; 5] = [
        "overloaded_error",
        "rate_limit_error",
        "api_error",
        "server_error",
        "timeout_error",
    ];
    let code = &error["code"];
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok());
    error["type"]
        .as_str()
        .is_some_and(|kind| TYPES.contains(&kind))
        || code.is_some_and(|code| matches!(code, 408 | 429 | 500..=599))
}

/// Returns the message of a server's error; an empty text if it has none.
fn message_of(error: &Value) -> &str {
    // Google sends a list with one error.
    let error = error.get(0).unwrap_or(error);
    let error = error.get("error").unwrap_or(error);
    let detail = &error["detail"];
    let message = error
        .as_str()
        .or_else(|| error["message"].as_str())
        .or_else(|| detail.as_str())
        .or_else(|| detail[0]["msg"].as_str())
        .or_else(|| error["type"].as_str());
    message.unwrap_or_default()
}

/// Returns the message of a server's error on one short line without secrets. Returns an empty text
/// if the error has no message.
pub(crate) fn readable_reason(error: &Value, secrets: &[String]) -> String {
    // Secrets are hidden before the text is cut. Otherwise a cut inside a secret would leave its
    // beginning visible.
    let hidden = secrets
        .iter()
        .fold(on_one_line(message_of(error)), |text, secret| {
            text.replace(secret.as_str(), HIDDEN)
        });
    hidden
        .chars()
        .take(MAX_REASON)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Returns the text on one line, without the control characters that a terminal would execute.
fn on_one_line(text: &str) -> String {
    let spaced = text.chars().map(|character| {
        if character.is_whitespace() {
            ' '
        } else {
            character
        }
    });
    spaced.filter(|character| !character.is_control()).collect()
}

/// Returns the failure of an event that is not valid in the protocol.
pub(crate) fn malformed() -> FailedAttempt {
    let text = "the model server sent a malformed event";
    FailedAttempt::permanent(FailureKind::Malformed, text)
}

/// Returns the failure of a response that ends before the answer is complete.
pub(crate) fn incomplete() -> FailedAttempt {
    let text = "the model server ended the response before the answer was complete";
    FailedAttempt::transient(FailureKind::Unreachable, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_servers_reason_is_short_and_hides_secrets() {
        let secrets = ["sk-secret".to_owned(), "models.example".to_owned()];
        let error = json!({ "message": "bad\u{1b}[31m\r\nkey sk-secret at models.example\u{0}" });
        assert_eq!(readable_reason(&error, &secrets), "bad[31m  key … at …");
        let text = "x".repeat(MAX_REASON - 4);
        let long = json!({ "message": format!("{text}sk-secret") });
        assert_eq!(readable_reason(&long, &secrets), format!("{text}…"));
        let wide = readable_reason(&json!("é".repeat(900)), &[]);
        assert_eq!(wide.chars().count(), MAX_REASON);
        assert_eq!(
            readable_reason(&json!({ "type": "overloaded_error" }), &[]),
            "overloaded_error"
        );
        for (error, text) in [
            (
                json!([{ "error": { "message": "in a list" } }]),
                "in a list",
            ),
            (json!({ "detail": "no model" }), "no model"),
            (json!({ "detail": [{ "msg": "no field" }] }), "no field"),
        ] {
            assert_eq!(readable_reason(&error, &[]), text);
        }
        assert_eq!(
            reported(&json!(null), &[]).failure.text,
            "the model server reported an error"
        );
    }

    #[test]
    fn a_secret_with_control_characters_between_is_hidden_too() {
        assert_eq!(
            readable_reason(&json!("sk-\u{7f}secret"), &["sk-secret".to_owned()]),
            "…"
        );
    }

    #[test]
    fn an_error_in_an_answer_is_repeated_only_if_it_may_pass() {
        for (error, passes) in [
            (json!({ "type": "overloaded_error" }), true),
            (json!({ "code": 503 }), true),
            (json!({ "code": "429" }), true),
            (
                json!({ "code": 400, "type": "invalid_request_error" }),
                false,
            ),
            (json!("no"), false),
        ] {
            assert_eq!(reported(&error, &[]).is_transient, passes, "{error}");
        }
    }

    #[test]
    fn a_server_asks_for_a_pause_in_seconds_or_by_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        for (header, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(86_400)),
            ("Wed, 21 Oct 2015 07:28:09 GMT", Some(9)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(parse_retry_after(header, now), expected, "{header}");
        }
    }

    #[test]
    fn a_request_is_not_repeated_after_a_long_pause() {
        let refused = |seconds| FailedAttempt::of_status(429, Some(seconds), &json!(null), &[]);
        assert!(refused("60").is_transient);
        assert!(!refused("61").is_transient);
    }
}
