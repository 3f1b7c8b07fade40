//! OpenAI's chat completions: the body of a request, and the parser of an answer's events.

use domain::{Failure, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{ChatMessage, ChatRole, chat_messages, system_text},
    failures::malformed,
    model_event::ModelEvent,
    settings::ModelSettings,
};

/// The path of requests, relative to the base URL.
pub(crate) const PATH: &str = "chat/completions";
/// The path of the server's list of models, after the base URL.
pub(crate) const MODELS_PATH: &str = "models";

/// The data of the event that ends an answer.
const END: &str = "[DONE]";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<ChatMessage>,
    stream: bool,
}

/// Returns the body of a request.
pub(crate) fn body(settings: &ModelSettings, prompt: &Prompt) -> serde_json::Result<Vec<u8>> {
    let mut messages = vec![ChatMessage::new(ChatRole::System, system_text(prompt))];
    messages.extend(chat_messages(prompt));
    serde_json::to_vec(&Request {
        model: &settings.model,
        max_tokens: settings.max_tokens,
        messages,
        stream: true,
    })
}

#[derive(Deserialize)]
struct Chunk {
    error: Option<Value>,
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
}

/// Parses the data of one server-sent event.
pub(crate) fn parse_event(data: &str) -> Result<Vec<ModelEvent>, Failure> {
    if data.trim() == END {
        return Ok(vec![ModelEvent::End]);
    }
    let chunk: Chunk = serde_json::from_str(data).map_err(|_| malformed())?;
    if let Some(error) = chunk.error {
        return Ok(vec![ModelEvent::Error(error)]);
    }
    let mut events = Vec::new();
    // Each request asks for one choice. A chunk without choices only reports the number of tokens
    // used.
    if let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() {
        if let Some(delta) = choice.delta {
            // Some servers send each thought in both fields, so only one field is used.
            events.extend(
                delta
                    .reasoning_content
                    .or(delta.reasoning)
                    .map(ModelEvent::Thinking),
            );
            events.extend(delta.content.map(ModelEvent::Text));
        }
        match choice.finish_reason.as_deref() {
            // Some servers send an empty reason until the last chunk.
            None | Some("") => {}
            Some("content_filter") => events.push(ModelEvent::Refusal),
            Some(_) => events.push(ModelEvent::End),
        }
    }
    Ok(events)
}
