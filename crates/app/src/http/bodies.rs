//! Bodies made of parts that are serialised once: of each message its own, of each agent one per version.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Agent, AgentConfig, Image, Message};
use serde::Serialize;

use super::wire::{AgentFields, MessageFields};

/// JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_vec(value).expect("views are always JSON"))
    }

    /// An array of what `items` write, of some `bytes` as far as is known.
    pub(crate) fn array<T>(items: impl IntoIterator<Item = T>, bytes: usize, mut write: impl FnMut(T, &mut Vec<u8>)) -> Self {
        let mut text = Vec::with_capacity(bytes + 2);
        text.push(b'[');
        for item in items {
            if text.len() > 1 {
                text.push(b',');
            }
            write(item, &mut text);
        }
        text.push(b']');
        Self(text)
    }

    /// An object with one more field.
    pub(crate) fn with(mut self, name: &str, value: &Self) -> Self {
        let closed = self.0.pop();
        debug_assert_eq!(closed, Some(b'}'), "only an object takes a field");
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.extend_from_slice(format!("\"{name}\":").as_bytes());
        self.0.extend_from_slice(&value.0);
        self.0.push(b'}');
        self
    }

    /// What stands between the brackets of an array.
    pub(crate) fn items(mut self) -> Self {
        self.0.pop();
        self.0.remove(0);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.0).expect("JSON is UTF-8")
    }

    /// The answer, or 304 if the caller has it already.
    pub(crate) fn tagged(self, asked: &HeaderMap) -> Response {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
        let is_known = known.flat_map(|known| known.split(',')).any(|known| matches!(known.trim(), "*") || weak(known) == tag);
        let headers = [
            (header::ETAG, HeaderValue::from_str(&tag).expect("a number is a header")),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        ];
        if is_known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, self).into_response() }
    }
}

/// A tag compared as a GET compares it: a weak one like a strong one.
fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

/// Fields without braces, with a comma before them.
struct Part(Vec<u8>);

fn part(value: &impl Serialize) -> Part {
    let mut text = serde_json::to_vec(value).expect("views are always JSON");
    text.pop();
    text[0] = b',';
    Part(text)
}

/// What is made of an agent's identity.
struct OfAgent {
    name: Part,
    /// Identity and persona together; made anew when the persona is another.
    shown: Mutex<(Weak<AgentConfig>, Arc<Part>)>,
}

fn of_agent(agent: &Agent) -> Arc<OfAgent> {
    #[derive(Serialize)]
    struct Name<'a> {
        agent_name: &'a str,
    }
    let make =
        || OfAgent { name: part(&Name { agent_name: agent.name.as_str() }), shown: Mutex::new((Weak::new(), Arc::new(Part(Vec::new())))) };
    agent.memo.get_or_make(make)
}

fn picture_of(config: &AgentConfig) -> Arc<Part> {
    #[derive(Serialize)]
    struct Picture<'a> {
        agent_profile_pic: Option<&'a str>,
    }
    config.memo.get_or_make(|| part(&Picture { agent_profile_pic: config.profile_pic.as_deref() }))
}

/// Writes an agent as the wire shows it.
pub(crate) fn write_agent(agent: &Agent, config: &Arc<AgentConfig>, session_id: Option<&str>, text: &mut Vec<u8>) {
    let memo = of_agent(agent);
    let shown = {
        let mut shown = memo.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(shown.0.as_ptr(), Arc::as_ptr(config)) {
            *shown = (Arc::downgrade(config), Arc::new(part(&AgentFields::new(agent, config))));
        }
        shown.1.clone()
    };
    text.push(b'{');
    text.extend_from_slice(&shown.0[1..]);
    text.extend_from_slice(b",\"session_id\":");
    serde_json::to_writer(&mut *text, &session_id).expect("text is always JSON");
    text.push(b'}');
}

/// Writes a message as the wire shows it. A deleted author has no persona, and so no picture, but keeps its name.
pub(crate) fn write_message(message: &Message, author: Option<(&Agent, Option<&AgentConfig>)>, image: Option<&Image>, text: &mut Vec<u8>) {
    let own = message.memo.get_or_make(|| part(&MessageFields::new(message)));
    text.push(b'{');
    text.extend_from_slice(&own.0[1..]);
    match author {
        Some((agent, _)) => text.extend_from_slice(&of_agent(agent).name.0),
        None => text.extend_from_slice(b",\"agent_name\":null"),
    }
    match author.and_then(|(_, config)| config) {
        Some(config) => text.extend_from_slice(&picture_of(config).0),
        None => text.extend_from_slice(b",\"agent_profile_pic\":null"),
    }
    text.extend_from_slice(b",\"image_data\":");
    match image {
        Some(image) => serde_json::to_writer(&mut *text, &image.data).expect("text is always JSON"),
        None => text.extend_from_slice(b"null"),
    }
    text.push(b'}');
}
