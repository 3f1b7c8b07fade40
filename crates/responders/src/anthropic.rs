//! Anthropic's Messages API: the request, and what the events of its answer say.

use domain::{Failure, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    answer::Heard,
    conversation::{self, Message},
    models::ModelSettings,
    refusals::garbled,
};

/// Where it is asked, behind the base URL.
pub(crate) const PATH: &str = "v1/messages";
/// The header that carries the key.
pub(crate) const KEY_HEADER: &str = "x-api-key";
/// The header that names the protocol's version.
pub(crate) const VERSION_HEADER: &str = "anthropic-version";
/// The version that is spoken here.
pub(crate) const VERSION: &str = "2023-06-01";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    system: String,
    messages: Vec<Message>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
}

#[derive(Serialize)]
struct Thinking {
    r#type: &'static str,
    budget_tokens: u32,
}

/// The request's body.
pub(crate) fn body(settings: &ModelSettings, prompt: &Prompt) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Request {
        model: &settings.model,
        // Here the limit includes the thoughts; in the settings it is the answer's.
        max_tokens: settings
            .max_tokens
            .saturating_add(settings.thinking_budget.unwrap_or(0)),
        system: conversation::system(prompt),
        messages: conversation::messages(prompt),
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

/// A block's beginning or more of it.
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

/// What an event says.
pub(crate) fn hear(data: &str) -> Result<Vec<Heard>, Failure> {
    Ok(match serde_json::from_str(data).map_err(|_| garbled())? {
        Event::ContentBlockStart {
            content_block: part,
        }
        | Event::ContentBlockDelta { delta: part } => match part {
            Part::Text { text } => vec![Heard::Text(text)],
            Part::Thinking { thinking } => vec![Heard::Thinking(thinking)],
            Part::Other => vec![],
        },
        Event::MessageDelta { delta } if delta.stop_reason.as_deref() == Some("refusal") => {
            vec![Heard::Declined]
        }
        Event::MessageStop => vec![Heard::End],
        Event::Error { error } => vec![Heard::Error(error)],
        Event::MessageDelta { .. } | Event::Other => vec![],
    })
}
