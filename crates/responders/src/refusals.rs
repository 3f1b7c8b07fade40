//! Why a model did not answer, in words that the room's owner may read: no key, no address, little of what the server said.

use std::time::Duration;

use domain::Failure;
use serde_json::Value;

/// How much of what a server said is repeated, in characters.
const REPEATED: usize = 200;
/// How long a server can make us wait before we ask again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Stands for what is not shown.
const HIDDEN: &str = "…";

/// An attempt that failed before the answer began.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    /// Whether another attempt may go better.
    pub(crate) is_passing: bool,
    /// When the server wants to be asked again.
    pub(crate) after: Option<Duration>,
}

impl Refusal {
    /// Another attempt would go the same way.
    pub(crate) fn lasting(failure: Failure) -> Self {
        Self {
            failure,
            is_passing: false,
            after: None,
        }
    }

    /// The server was not reached, or went away before it answered.
    pub(crate) fn unreached() -> Self {
        Self {
            failure: Failure("the model server cannot be reached".into()),
            is_passing: true,
            after: None,
        }
    }

    /// What a status means. `said` is the server's reason, made fit to be shown.
    pub(crate) fn of_status(status: u16, retry_after: Option<&str>, said: &str) -> Self {
        let meaning = match status {
            300..=399 => "the model server wants to be asked elsewhere, which is not followed",
            401 => "the model server refused the key",
            403 => "the model server does not allow this",
            404 => "the model server does not know the model, or answers elsewhere",
            408 | 504 => "the model server took too long",
            413 => "the conversation is too long for the model server",
            429 => "the model server is asked too often",
            503 | 529 => "the model server is overloaded",
            500..=599 => "the model server failed",
            _ => "the model server refused the request",
        };
        // Servers repeat a part of the key that they refuse.
        let said = if matches!(status, 401 | 403) || said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        Self {
            failure: Failure(format!("{meaning} ({status}){said}")),
            is_passing: matches!(status, 408 | 429 | 500..=599),
            after: retry_after.and_then(pause),
        }
    }
}

/// `Retry-After` in seconds; its other form, a date, is not honoured.
fn pause(retry_after: &str) -> Option<Duration> {
    retry_after
        .trim()
        .parse()
        .ok()
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// The server gave up in the middle of an answer.
pub(crate) fn reported(error: &Value, secrets: &[String]) -> Failure {
    match shown(error, secrets).as_str() {
        "" => Failure("the model server reported an error".into()),
        said => Failure(format!("the model server reported an error: {said}")),
    }
}

/// What a server says of an error, made fit to be shown.
pub(crate) fn shown(error: &Value, secrets: &[String]) -> String {
    let said = error
        .as_str()
        .or_else(|| error["message"].as_str())
        .or_else(|| error["type"].as_str());
    // What is hidden goes first: of a secret that the end cuts, the beginning would stay.
    let hidden = secrets
        .iter()
        .fold(readable(said.unwrap_or_default()), |said, secret| {
            said.replace(secret.as_str(), HIDDEN)
        });
    hidden
        .chars()
        .take(REPEATED)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// On one line, without characters that would command a terminal.
fn readable(text: &str) -> String {
    let spaced = text.chars().map(|character| {
        if character.is_whitespace() {
            ' '
        } else {
            character
        }
    });
    spaced.filter(|character| !character.is_control()).collect()
}

/// The server's bytes are no answer in the protocol that was asked for.
pub(crate) fn garbled() -> Failure {
    Failure("the model server sent something that is no answer".into())
}

/// The answer has no end.
pub(crate) fn cut_off() -> Failure {
    Failure("the answer was cut off".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_says_is_short_and_hides_what_is_secret() {
        let secrets = ["sk-secret".to_owned(), "models.example".to_owned()];
        let said = json!({ "message": "bad\u{1b}[31m\r\nkey sk-secret at models.example\u{0}" });
        assert_eq!(shown(&said, &secrets), "bad[31m  key … at …");
        let long = json!({ "message": format!("{}sk-secret", "x".repeat(REPEATED - 4)) });
        assert_eq!(
            shown(&long, &secrets),
            format!("{}…", "x".repeat(REPEATED - 4))
        );
        assert_eq!(
            shown(&json!("é".repeat(900)), &[]).chars().count(),
            REPEATED
        );
        assert_eq!(
            shown(&json!({ "type": "overloaded_error" }), &[]),
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
            shown(&json!("sk-\u{7f}secret"), &["sk-secret".to_owned()]),
            "…"
        );
    }

    #[test]
    fn a_server_cannot_ask_for_a_long_pause() {
        assert_eq!(pause("0"), Some(Duration::ZERO));
        assert_eq!(pause(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(pause("86400"), Some(LONGEST_PAUSE));
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(pause("-1"), None);
    }
}
