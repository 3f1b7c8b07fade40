//! Failures of a model server, as messages for the room's owner. A message contains neither the key
//! nor the server's address, and only a short part of the server's own text.

use std::time::Duration;

use domain::Failure;
use serde_json::Value;

/// The greatest number of characters of a server's text in a message: enough for the first
/// sentence. Some servers reply with a whole HTML page.
const MAX_REASON: usize = 200;
/// The longest pause that a server can ask for. With a longer one, users would wait too long for
/// the failure.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The text that replaces a secret.
const HIDDEN: &str = "…";

/// An attempt that failed before an answer began.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) failure: Failure,
    /// `true` if another attempt may succeed.
    pub(crate) is_transient: bool,
    /// The pause that the server asks for before the next attempt.
    pub(crate) retry_after: Option<Duration>,
}

impl FailedAttempt {
    /// Returns a failed attempt that must not be repeated, because it would fail again.
    pub(crate) fn permanent(failure: Failure) -> Self {
        Self {
            failure,
            is_transient: false,
            retry_after: None,
        }
    }

    /// Returns the failure of an attempt that could not connect, or whose connection was lost
    /// before a response.
    pub(crate) fn unreachable() -> Self {
        Self {
            failure: Failure("could not connect to the model server".into()),
            is_transient: true,
            retry_after: None,
        }
    }

    /// Returns the failure of a response with an error status. `reason` is the server's own text,
    /// made readable.
    pub(crate) fn of_status(status: u16, retry_after: Option<&str>, reason: &str) -> Self {
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
        // The reason is left out, because servers repeat a part of the key that they reject.
        let reason = if matches!(status, 401 | 403) || reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        Self {
            failure: Failure(format!("{meaning} ({status}){reason}")),
            is_transient: matches!(status, 408 | 429 | 500..=599),
            retry_after: retry_after.and_then(parse_retry_after),
        }
    }
}

/// Parses the header `Retry-After` in seconds, limited to [`MAX_RETRY_AFTER`]. The header's other
/// form, a date, is ignored.
fn parse_retry_after(header: &str) -> Option<Duration> {
    header
        .trim()
        .parse()
        .ok()
        .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Returns the failure that a server reports in the middle of an answer.
pub(crate) fn reported(error: &Value, secrets: &[String]) -> Failure {
    match readable_reason(error, secrets).as_str() {
        "" => Failure("the model server reported an error".into()),
        reason => Failure(format!("the model server reported an error: {reason}")),
    }
}

/// Returns the message of a server's error on one short line without secrets. Returns an empty text
/// if the error has no message.
pub(crate) fn readable_reason(error: &Value, secrets: &[String]) -> String {
    let message = error
        .as_str()
        .or_else(|| error["message"].as_str())
        .or_else(|| error["type"].as_str());
    // Secrets are hidden before the text is cut. Otherwise a cut inside a secret would leave its
    // beginning visible.
    let hidden = secrets
        .iter()
        .fold(on_one_line(message.unwrap_or_default()), |text, secret| {
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
pub(crate) fn malformed() -> Failure {
    Failure("the model server sent a malformed event".into())
}

/// Returns the failure of a response that ends before the answer is complete.
pub(crate) fn incomplete() -> Failure {
    Failure("the model server ended the response before the answer was complete".into())
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
        assert_eq!(
            reported(&json!(null), &[]).0,
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
    fn a_server_cannot_ask_for_a_long_pause() {
        assert_eq!(parse_retry_after("0"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("86400"), Some(MAX_RETRY_AFTER));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(parse_retry_after("-1"), None);
    }
}
