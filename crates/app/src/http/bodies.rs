//! Bodies made of parts that are serialised once: of each message its own, of each agent one per version.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Agent, AgentConfig, Image, Made, Message};
use serde::Serialize;

use super::wire::{AgentFields, MessageFields};

/// JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_vec(value).expect("views are always JSON"))
    }

    /// An array of what `items` write, of `bytes` with a comma before each, as far as is known.
    pub(crate) fn array<T>(items: impl IntoIterator<Item = T>, bytes: usize, write: impl FnMut(T, &mut Vec<u8>)) -> Self {
        let mut text = Vec::with_capacity(bytes.max(1) + 1);
        write_array(&mut text, items, write);
        Self(text)
    }

    /// An object with one more field.
    pub(crate) fn with(self, name: &str, value: &Self) -> Self {
        self.with_written(name, value.0.len(), |text| text.extend_from_slice(&value.0))
    }

    /// An object with one more field, an array as [`Json::array`] makes it.
    pub(crate) fn with_array<T>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        bytes: usize,
        write: impl FnMut(T, &mut Vec<u8>),
    ) -> Self {
        self.with_written(name, bytes.max(1) + 1, |text| write_array(text, items, write))
    }

    /// An object with one more field of about so many `bytes`.
    fn with_written(mut self, name: &str, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let closed = self.0.pop();
        debug_assert_eq!(closed, Some(b'}'), "only an object takes a field");
        self.0.reserve(bytes + name.len() + ",\"\":}".len());
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        write(&mut self.0);
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
        tagged(asked, "application/json", self.0)
    }
}

fn write_array<T>(text: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    text.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write(item, text);
    }
    text.push(b']');
}

/// An answer with a tag of its bytes, or 304 if the caller has them already.
pub(crate) fn tagged(asked: &HeaderMap, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let is_known = known.flat_map(|known| known.split(',')).any(|known| matches!(known.trim(), "*") || weak(known) == tag);
    let headers = [
        (header::ETAG, HeaderValue::from_str(&tag).expect("a number is a header")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, bytes).into_response() }
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

/// A piece of JSON text: an object without its closing brace, or fields to go on with.
struct Part(Vec<u8>);

/// An object without its closing brace.
fn opened(value: &impl Serialize) -> Part {
    let mut text = serde_json::to_vec(value).expect("views are always JSON");
    text.pop();
    Part(text)
}

/// The object's fields, with a comma before them.
fn fields(value: &impl Serialize) -> Part {
    let mut part = opened(value);
    part.0[0] = b',';
    part
}

/// What is made of an agent, each with the persona that it was made with.
#[derive(Default)]
struct OfAgent {
    shown: WithPersona,
    signature: WithPersona,
}

/// Made anew when the persona is another.
#[derive(Default)]
struct WithPersona(Mutex<Option<(Weak<AgentConfig>, Arc<Part>)>>);

impl WithPersona {
    fn get_or_make(&self, persona: Option<&Arc<AgentConfig>>, make: impl FnOnce() -> Part) -> Arc<Part> {
        let now = persona.map_or_else(Weak::new, Arc::downgrade);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((with, part)) if with.ptr_eq(&now) => part.clone(),
            Some(_) | None => kept.insert((now, Arc::new(make()))).1.clone(),
        }
    }
}

/// Writes an agent as the wire shows it.
pub(crate) fn write_agent(agent: &Agent, config: &Arc<AgentConfig>, session_id: Option<&str>, text: &mut Vec<u8>) {
    let memo = agent.memo.get_or_make(OfAgent::default);
    let shown = memo.shown.get_or_make(Some(config), || opened(&AgentFields::new(agent, config)));
    text.extend_from_slice(&shown.0);
    text.extend_from_slice(b",\"session_id\":");
    serde_json::to_writer(&mut *text, &session_id).expect("text is always JSON");
    text.push(b'}');
}

/// What an author puts under each of its messages, as it stands under one without an image.
#[derive(Clone)]
pub(crate) struct Signature(Arc<Part>);

/// The end of a message without an image.
const NO_IMAGE: &[u8] = b",\"image_data\":null}";

/// A deleted author has no persona, and so no picture, but keeps its name.
pub(crate) fn signature(author: &Agent, persona: Option<&Arc<AgentConfig>>) -> Signature {
    #[derive(Serialize)]
    struct Shown<'a> {
        agent_name: &'a str,
        agent_profile_pic: Option<&'a str>,
    }
    let make = || {
        let agent_profile_pic = persona.and_then(|persona| persona.profile_pic.as_deref());
        let mut signed = fields(&Shown { agent_name: author.name.as_str(), agent_profile_pic });
        signed.0.extend_from_slice(NO_IMAGE);
        signed
    };
    Signature(author.memo.get_or_make(OfAgent::default).signature.get_or_make(persona, make))
}

/// What a message is on the wire, in the pieces in which it is kept.
pub(crate) struct MessageParts<'a> {
    own: Made<'a, Part>,
    signed: &'a [u8],
    image: Option<&'a Image>,
}

impl<'a> MessageParts<'a> {
    pub(crate) fn new(message: &'a Message, author: Option<&'a Signature>, image: Option<&'a Image>) -> Self {
        let own = message.memo.get_or_make(|| opened(&MessageFields::new(message)));
        let unsigned: &[u8] = b",\"agent_name\":null,\"agent_profile_pic\":null,\"image_data\":null}";
        Self { own, signed: author.map_or(unsigned, |Signature(part)| &part.0), image }
    }

    /// Its length, a comma before it included.
    pub(crate) fn bytes(&self) -> usize {
        // Base64 needs no escapes: two quotes instead of `null`.
        1 + self.own.0.len() + self.signed.len() + self.image.map_or(0, |image| image.data.len())
    }

    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.own.0);
        let Some(image) = self.image else { return text.extend_from_slice(self.signed) };
        text.extend_from_slice(&self.signed[..self.signed.len() - b"null}".len()]);
        serde_json::to_writer(&mut *text, &image.data).expect("text is always JSON");
        text.push(b'}');
    }
}
