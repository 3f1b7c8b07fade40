//! Anthropic's Messages API: the body of a request, and the parser of an answer's events.

use domain::{Failure, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{ChatMessage, chat_messages, system_text},
    failures::malformed,
    model_event::ModelEvent,
    settings::ModelSettings,
};

/// The path of requests, relative to the base URL.
pub(crate) const PATH: &str = "v1/messages";
/// The path of the server's list of models, after the base URL.
pub(crate) const MODELS_PATH: &str = "v1/models";
/// The header of the API key.
pub(crate) const KEY_HEADER: &str = "x-api-key";
/// The header of the protocol's version.
pub(crate) const VERSION_HEADER: &str = "anthropic-version";
/// The version of the protocol that this client implements.
pub(crate) const VERSION: &str = "2023-06-01";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    system: String,
    messages: Vec<ChatMessage>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
}

#[derive(Serialize)]
struct Thinking {
    r#type: &'static str,
    budget_tokens: u32,
}

/// Returns the body of a request.
pub(crate) fn body(settings: &ModelSettings, prompt: &Prompt) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Request {
        model: &settings.model,
        // The protocol's limit includes thinking, while the setting limits only the answer.
        max_tokens: settings
            .max_tokens
            .saturating_add(settings.thinking_budget.unwrap_or(0)),
        system: system_text(prompt),
        messages: chat_messages(prompt),
        stream: true,
        thinking: settings.thinking_budget.map(|budget_tokens| Thinking {
            r#type: "enabled",
            budget_tokens,
        }),
    })
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    ContentBlockStart {
        content_block: Part,
    },
    ContentBlockDelta {
        delta: Part,
    },
    MessageDelta {
        delta: Stop,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

/// The content of a content block: its beginning or a later part.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    #[serde(alias = "text_delta")]
    Text { text: String },
    #[serde(alias = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

/// Parses the data of one server-sent event. Unknown kinds of events return no `ModelEvent`.
pub(crate) fn parse_event(data: &str) -> Result<Vec<ModelEvent>, Failure> {
    Ok(match serde_json::from_str(data).map_err(|_| malformed())? {
        Event::ContentBlockStart {
            content_block: part,
        }
        | Event::ContentBlockDelta { delta: part } => match part {
            Part::Text { text } => vec![ModelEvent::Text(text)],
            Part::Thinking { thinking } => vec![ModelEvent::Thinking(thinking)],
            Part::Other => vec![],
        },
        Event::MessageDelta { delta } if delta.stop_reason.as_deref() == Some("refusal") => {
            vec![ModelEvent::Refusal]
        }
        Event::MessageStop => vec![ModelEvent::End],
        Event::Error { error } => vec![ModelEvent::Error(error)],
        Event::MessageDelta { .. } | Event::Other => vec![],
    })
}
