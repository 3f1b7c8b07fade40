//! Anthropic's Messages API: the body of a request, and the parser of an answer's events.

use domain::Prompt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{ChatRole, Piece, chat_messages, memory_note, system_text},
    failures::{FailedAttempt, malformed},
    model_event::{ModelEvent, StopReason, TokenCounts},
    settings::{Effort, ModelSettings, Thinking},
};

/// The path of requests, relative to the base URL.
pub(crate) const PATH: &str = "v1/messages";
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
    system: [Block; 1],
    messages: Vec<BlockMessage>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<ThinkingBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
}

#[derive(Serialize)]
struct BlockMessage {
    role: ChatRole,
    content: Vec<Block>,
}

/// A text or an image. The server may keep the prompt up to a marked block, and reads it again for
/// a tenth of the price.
#[derive(Serialize)]
struct Block {
    #[serde(flatten)]
    content: BlockContent,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockContent {
    Text { text: String },
    Image { source: ImageSource },
}

#[derive(Serialize)]
struct ImageSource {
    r#type: &'static str,
    media_type: String,
    data: String,
}

#[derive(Serialize)]
struct CacheControl {
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ThinkingBody {
    Enabled { budget_tokens: u32 },
    Adaptive,
}

#[derive(Serialize)]
struct OutputConfig {
    effort: Effort,
}

impl Block {
    fn text(text: String) -> Self {
        Self {
            content: BlockContent::Text { text },
            cache_control: None,
        }
    }

    fn new(piece: Piece) -> Self {
        match piece {
            Piece::Text(text) => Self::text(text),
            Piece::Image(image) => Self {
                content: BlockContent::Image {
                    source: ImageSource {
                        r#type: "base64",
                        media_type: image.media_type.clone(),
                        data: image.data.clone(),
                    },
                },
                cache_control: None,
            },
        }
    }

    fn marked(self) -> Self {
        let ephemeral = CacheControl {
            r#type: "ephemeral",
        };
        Self {
            cache_control: Some(ephemeral),
            ..self
        }
    }
}

/// Returns the body of a request.
pub(crate) fn body(settings: &ModelSettings, prompt: &Prompt) -> serde_json::Result<Value> {
    let (thinking, budget) = match settings.thinking {
        None => (None, 0),
        Some(Thinking::Budget(budget_tokens)) => {
            (Some(ThinkingBody::Enabled { budget_tokens }), budget_tokens)
        }
        Some(Thinking::Adaptive) => (Some(ThinkingBody::Adaptive), 0),
    };
    let mut messages: Vec<_> = chat_messages(prompt)
        .into_iter()
        .map(|message| BlockMessage {
            role: message.role,
            content: message.pieces.into_iter().map(Block::new).collect(),
        })
        .collect();
    if let Some(last) = messages.last_mut() {
        let end = last.content.pop().map(Block::marked);
        let note = memory_note(prompt).map(Block::text);
        last.content.extend(end.into_iter().chain(note));
    }
    serde_json::to_value(Request {
        model: &settings.model,
        // The protocol's limit includes thinking, while the setting limits only the answer.
        max_tokens: settings.max_tokens.saturating_add(budget),
        system: [Block::text(system_text(prompt)).marked()],
        messages,
        stream: true,
        thinking,
        output_config: settings.effort.map(|effort| OutputConfig { effort }),
    })
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Started,
    },
    ContentBlockStart {
        content_block: Part,
    },
    ContentBlockDelta {
        delta: Part,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: Counts,
    },
    MessageStop,
    /// A whole answer instead of events.
    Message {
        content: Vec<Part>,
        stop_reason: Option<String>,
        #[serde(default)]
        usage: Counts,
    },
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    usage: Counts,
}

/// The tokens so far. The server counts the parts of the prompt apart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    newly_cached: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cached: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

impl Counts {
    fn into_event(self) -> Option<ModelEvent> {
        let besides = [self.newly_cached, self.cached].into_iter().flatten();
        let counts = TokenCounts {
            input: self
                .input
                .map(|input| besides.fold(input, u64::saturating_add)),
            output: self.output,
            cached: self.cached,
        };
        (counts != TokenCounts::default()).then_some(ModelEvent::Usage(counts))
    }
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

impl Part {
    fn into_event(self) -> Option<ModelEvent> {
        match self {
            Self::Text { text } => Some(ModelEvent::Text(text)),
            Self::Thinking { thinking } => Some(ModelEvent::Thinking(thinking)),
            Self::Other => None,
        }
    }
}

/// Parses the data of one server-sent event. Unknown kinds of events return no `ModelEvent`.
pub(crate) fn parse_event(data: &str) -> Result<Vec<ModelEvent>, FailedAttempt> {
    let event = serde_json::from_str(data).map_err(|_| malformed())?;
    Ok(match event {
        Event::ContentBlockStart {
            content_block: part,
        }
        | Event::ContentBlockDelta { delta: part } => part.into_event().into_iter().collect(),
        Event::MessageStart { message } => message.usage.into_event().into_iter().collect(),
        Event::MessageDelta { delta, usage } => {
            let stop = stopped(delta.stop_reason.as_deref());
            usage.into_event().into_iter().chain(stop).collect()
        }
        Event::Message {
            content,
            stop_reason,
            usage,
        } => {
            let parts = content.into_iter().filter_map(Part::into_event);
            parts
                .chain(usage.into_event())
                .chain(stopped(stop_reason.as_deref()))
                .chain([ModelEvent::End])
                .collect()
        }
        Event::MessageStop => vec![ModelEvent::End],
        Event::Error { error } => vec![ModelEvent::Error(error)],
        Event::Other => vec![],
    })
}

fn stopped(reason: Option<&str>) -> Option<ModelEvent> {
    let reason = match reason? {
        "refusal" => StopReason::Refusal,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        _ => StopReason::Complete,
    };
    Some(ModelEvent::Stop(reason))
}
