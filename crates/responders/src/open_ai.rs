//! OpenAI's chat completions: the body of a request, and the parser of an answer's events. Many
//! servers speak this protocol, each in its own way.

use domain::Prompt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{ChatMessage, ChatRole, Piece, chat_messages, memory_note, system_text},
    failures::{FailedAttempt, malformed},
    model_event::{ModelEvent, StopReason, TokenCounts},
    request_form::{RequestForm, SystemRole, TokenLimit},
    settings::{Effort, ModelSettings},
};

/// The path of requests, relative to the base URL.
pub(crate) const PATH: &str = "chat/completions";

/// The data of the event that ends an answer.
const END: &str = "[DONE]";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<Effort>,
    messages: Vec<RequestMessage>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct RequestMessage {
    role: ChatRole,
    content: MessageContent,
}

/// The content of a message. Many servers know only texts, so a list is sent only with images.
#[derive(Serialize)]
#[serde(untagged)]
enum MessageContent {
    Text(String),
    Parts(Vec<MessagePart>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessagePart {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

impl From<ChatMessage> for RequestMessage {
    fn from(ChatMessage { role, pieces }: ChatMessage) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(last)), Piece::Text(text)) => {
                    last.push_str("\n\n");
                    last.push_str(&text);
                }
                (_, piece) => joined.push(piece),
            }
        }
        let content = match joined.as_mut_slice() {
            [Piece::Text(text)] => MessageContent::Text(std::mem::take(text)),
            _ => MessageContent::Parts(joined.into_iter().map(MessagePart::from).collect()),
        };
        Self { role, content }
    }
}

impl From<Piece> for MessagePart {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Text(text) => Self::Text { text },
            Piece::Image(image) => Self::ImageUrl {
                image_url: ImageUrl {
                    url: format!("data:{};base64,{}", image.media_type, image.data),
                },
            },
        }
    }
}

/// Asks for the number of tokens in the last event.
#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Returns the body of a request.
pub(crate) fn body(
    settings: &ModelSettings,
    form: RequestForm,
    prompt: &Prompt,
) -> serde_json::Result<Value> {
    let (system, mut messages) = (system_text(prompt), chat_messages(prompt));
    match form.system_role {
        SystemRole::System => messages.insert(0, ChatMessage::new(ChatRole::System, system)),
        // The first message is the user's, so roles still alternate.
        SystemRole::User => messages[0].prepend_text(&system),
    }
    if let (Some(note), Some(last)) = (memory_note(prompt), messages.last_mut()) {
        last.push_text(note);
    }
    let max_tokens = |limit| (form.token_limit == limit).then_some(settings.max_tokens);
    serde_json::to_value(Request {
        model: &settings.model,
        max_tokens: max_tokens(TokenLimit::MaxTokens),
        max_completion_tokens: max_tokens(TokenLimit::MaxCompletionTokens),
        reasoning_effort: settings.effort,
        messages: messages.into_iter().map(RequestMessage::from).collect(),
        stream: true,
        stream_options: form.asks_for_usage.then_some(StreamOptions {
            include_usage: true,
        }),
    })
}

/// A part of an answer, or a whole answer.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Counts>,
}

/// The tokens of the whole request.
#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<CountsOfPrompt>,
    /// `DeepSeek`'s name of `prompt_tokens_details.cached_tokens`.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CountsOfPrompt {
    cached_tokens: Option<u64>,
}

impl Counts {
    fn into_event(self) -> ModelEvent {
        let details = self.prompt_tokens_details;
        let cached = details.and_then(|details| details.cached_tokens);
        ModelEvent::Usage(TokenCounts {
            input: self.prompt_tokens,
            output: self.completion_tokens,
            cached: cached.or(self.prompt_cache_hit_tokens),
        })
    }
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    /// The whole text. Some servers repeat it in each chunk.
    message: Option<Delta>,
    finish_reason: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
}

/// The text of an answer: a string, or a list of parts as Mistral sends them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        text: String,
    },
    Thinking {
        thinking: Content,
    },
    #[serde(other)]
    Other,
}

impl Content {
    fn into_events(self) -> Vec<ModelEvent> {
        match self {
            Self::Text(text) => vec![ModelEvent::Text(text)],
            Self::Parts(parts) => parts
                .into_iter()
                .filter_map(|part| match part {
                    Part::Text { text } => Some(ModelEvent::Text(text)),
                    Part::Thinking { thinking } => Some(ModelEvent::Thinking(thinking.text())),
                    Part::Other => None,
                })
                .collect(),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts
                .into_iter()
                .filter_map(|part| match part {
                    Part::Text { text } => Some(text),
                    Part::Thinking { .. } | Part::Other => None,
                })
                .collect(),
        }
    }
}

/// Parses the data of one server-sent event, or a whole answer.
pub(crate) fn parse_event(data: &str) -> Result<Vec<ModelEvent>, FailedAttempt> {
    if data.trim() == END {
        return Ok(vec![ModelEvent::End]);
    }
    let value = match serde_json::from_str(data).map_err(|_| malformed())? {
        // Google sends an error in a list.
        Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
        value => value,
    };
    if let Some(error) = error_in(&value) {
        return Ok(vec![ModelEvent::Error(error.clone())]);
    }
    let chunk = Chunk::deserialize(value).map_err(|_| malformed())?;
    let mut events: Vec<_> = chunk.usage.map(Counts::into_event).into_iter().collect();
    // Each request asks for one choice. A chunk without choices only reports the number of tokens
    // used.
    if let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() {
        if let Some(error) = choice.error {
            return Ok(vec![ModelEvent::Error(error)]);
        }
        if let Some(delta) = choice.delta.or(choice.message) {
            // Some servers send each thought in both fields, so only one field is used.
            events.extend(
                delta
                    .reasoning_content
                    .or(delta.reasoning)
                    .map(ModelEvent::Thinking),
            );
            events.extend(delta.content.map(Content::into_events).unwrap_or_default());
            if delta.refusal.is_some_and(|refusal| !refusal.is_empty()) {
                events.push(ModelEvent::Stop(StopReason::Refusal));
            }
        }
        events.extend(stopped(choice.finish_reason.as_deref()));
    }
    Ok(events)
}

/// Returns the error that a server reports: in the field `error`, or as the whole object, which
/// then has no choices.
fn error_in(value: &Value) -> Option<&Value> {
    let error = value.get("error").filter(|error| !error.is_null());
    error.or_else(|| {
        let is_error = value.get("choices").is_none()
            && ["message", "detail"]
                .iter()
                .any(|name| value.get(name).is_some());
        is_error.then_some(value)
    })
}

fn stopped(reason: Option<&str>) -> Option<ModelEvent> {
    let reason = match reason? {
        // Some servers send an empty reason until the last chunk.
        "" => return None,
        "length" => StopReason::Length,
        "content_filter" => StopReason::Refusal,
        "error" | "abort" => StopReason::Aborted,
        _ => StopReason::Complete,
    };
    Some(ModelEvent::Stop(reason))
}
