//! Servers that speak as OpenAI's chat completions do: the request, and what the events of their answers say.

use domain::{Failure, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    answer::Heard,
    conversation::{self, Message, Role},
    models::ModelSettings,
    refusals::garbled,
};

/// Where it is asked, behind the base URL.
pub(crate) const PATH: &str = "chat/completions";

/// Follows the last event.
const END: &str = "[DONE]";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<Message>,
    stream: bool,
}

/// The request's body.
pub(crate) fn body(settings: &ModelSettings, prompt: &Prompt) -> serde_json::Result<Vec<u8>> {
    let mut messages = vec![Message::new(Role::System, conversation::system(prompt))];
    messages.extend(conversation::messages(prompt));
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

/// What an event says.
pub(crate) fn hear(data: &str) -> Result<Vec<Heard>, Failure> {
    if data.trim() == END {
        return Ok(vec![Heard::End]);
    }
    let chunk: Chunk = serde_json::from_str(data).map_err(|_| garbled())?;
    if let Some(error) = chunk.error {
        return Ok(vec![Heard::Error(error)]);
    }
    let mut heard = Vec::new();
    // One answer is asked for; a chunk without any tells of the costs.
    if let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() {
        if let Some(delta) = choice.delta {
            // Servers that send both names send the same thought twice.
            heard.extend(
                delta
                    .reasoning_content
                    .or(delta.reasoning)
                    .map(Heard::Thinking),
            );
            heard.extend(delta.content.map(Heard::Text));
        }
        match choice.finish_reason.as_deref() {
            // Some servers send an empty reason until there is one.
            None | Some("") => {}
            Some("content_filter") => heard.push(Heard::Declined),
            Some(_) => heard.push(Heard::End),
        }
    }
    Ok(heard)
}
