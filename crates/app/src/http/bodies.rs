//! Bodies made of parts that are serialised once: of each message its own, of each agent one per version.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Agent, AgentConfig, AgentId, Image, Made, Message};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;

use super::{
    people::{People, Seen},
    wire::{AgentFields, MessageFields},
};

/// What most objects fit in.
const OBJECT_BYTES: usize = 512;

/// JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let mut text = Vec::with_capacity(OBJECT_BYTES);
        serde_json::to_writer(&mut text, value).expect("views are always JSON");
        Self(text)
    }

    /// An array of what `items` write, of `bytes` with a comma before each, as far as is known.
    pub(crate) fn array<T>(items: impl IntoIterator<Item = T>, bytes: usize, write: impl FnMut(T, &mut Vec<u8>)) -> Self {
        let mut text = Vec::with_capacity(bytes.max(1) + 1);
        write_array(&mut text, items, write);
        Self(text)
    }

    /// An object with one more field, an array of what `items` write.
    pub(crate) fn with_array<T>(self, name: &str, items: impl IntoIterator<Item = T>, write: impl FnMut(T, &mut Vec<u8>)) -> Self {
        let mut text = self.opened(name);
        write_array(&mut text, items, write);
        text.push(b'}');
        Self(text)
    }

    /// An object with one more field, kept apart, so that it is not copied.
    pub(crate) fn before(self, name: &str, value: Bytes) -> Ending {
        Ending { text: self.opened(name), value }
    }

    /// An object up to the value of one more field.
    fn opened(self, name: &str) -> Vec<u8> {
        let Self(mut text) = self;
        let closed = text.pop();
        debug_assert_eq!(closed, Some(b'}'), "only an object takes a field");
        if text.len() > 1 {
            text.push(b',');
        }
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text
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
        answer(Body::from(self.0))
    }
}

impl From<Json> for Bytes {
    fn from(json: Json) -> Self {
        json.0.into()
    }
}

/// An answer of JSON.
pub(crate) fn answer(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An object whose last field is shared with other answers.
pub(crate) struct Ending {
    /// What stands before it.
    text: Vec<u8>,
    value: Bytes,
}

impl Ending {
    /// In one piece.
    pub(crate) fn into_json(self) -> Json {
        let Self { mut text, value } = self;
        text.reserve(value.len() + 1);
        text.extend_from_slice(&value);
        text.push(b'}');
        Json(text)
    }
}

impl IntoResponse for Ending {
    fn into_response(self) -> Response {
        let pieces = [self.text.into(), self.value, Bytes::from_static(b"}")];
        answer(Body::new(Pieces { pieces, next: 0 }))
    }
}

/// A body of known length, whose pieces are written by one call.
struct Pieces {
    pieces: [Bytes; 3],
    next: usize,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next;
        self.next += 1;
        Poll::Ready(self.pieces.get_mut(next).map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
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

/// What is made of a page: its text on the wire, kept while its authors are what they were.
pub(crate) struct OfPage {
    /// Rising, each once.
    pub(crate) authors: Vec<AgentId>,
    text: Mutex<Option<(Vec<Seen>, Bytes)>>,
}

impl OfPage {
    pub(crate) fn new(page: &[Arc<Message>]) -> Self {
        let mut authors: Vec<_> = page.iter().filter_map(|message| message.author).collect();
        authors.sort_unstable();
        authors.dedup();
        Self { authors, text: Mutex::default() }
    }

    /// The text that was kept, if `people` are who its authors were.
    pub(crate) fn text_by(&self, people: &People) -> Option<Bytes> {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let (authors, text) = text.as_ref()?;
        self.authors.iter().zip(authors).all(|(id, seen)| people.is(*id, seen)).then(|| text.clone())
    }

    pub(crate) fn keep(&self, people: &People, text: Bytes) {
        let seen = self.authors.iter().map(|id| people.seen(*id)).collect();
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some((seen, text));
    }
}
