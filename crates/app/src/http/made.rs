//! Pieces of bodies, each made once and kept beside what it was made of: of each message its own, of each agent one per
//! version, of a page the whole, of a room what it shows of itself.

use std::{
    ops::Range,
    sync::{Arc, Weak},
};

use arc_swap::ArcSwapOption;
use axum::body::Bytes;
use cache_adapter::{AgentsLease, Cache, RoomLease};
use domain::{
    Activity, Agent, AgentConfig, AgentId, Image, Made, Message, Room, Timestamp, UserId,
};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    people::{People, Seen, distinct},
    wire::{AgentFields, MessageFields, RoomFields},
};

/// A piece of JSON text: an object without its closing brace, or fields to go on with.
pub(crate) struct Part(Box<[u8]>);

impl Part {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An object without its closing brace.
fn opened(value: &impl Serialize) -> Part {
    Part(without_end(value).into())
}

fn without_end(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).expect("views are always JSON");
    text.pop();
    text
}

/// The object's fields, with a comma before them, and what comes behind.
fn fields(value: &impl Serialize, behind: &[u8]) -> Part {
    let mut text = without_end(value);
    text[0] = b',';
    text.extend_from_slice(behind);
    Part(text.into())
}

/// What was made, and with what besides the value that it is kept with. To look at it writes nothing that readers share.
struct Kept<W, T>(ArcSwapOption<(W, T)>);

impl<W, T> Default for Kept<W, T> {
    fn default() -> Self {
        Self(ArcSwapOption::empty())
    }
}

impl<W, T: Clone> Kept<W, T> {
    /// What was kept, if it was made with just that.
    fn get(&self, is_same: impl FnOnce(&W) -> bool) -> Option<T> {
        self.0
            .load()
            .as_deref()
            .filter(|(with, _)| is_same(with))
            .map(|(_, made)| made.clone())
    }

    /// What was kept, or what `make` makes now. Two at a time may both make it.
    fn get_or_make(
        &self,
        with: W,
        is_same: impl FnOnce(&W) -> bool,
        make: impl FnOnce() -> T,
    ) -> T {
        self.get(is_same).unwrap_or_else(|| {
            let value = make();
            self.put(with, value.clone());
            value
        })
    }

    fn put(&self, with: W, made: T) {
        self.0.store(Some(Arc::new((with, made))));
    }
}

impl<W: Clone, T> Kept<W, T> {
    /// Puts the same in another place in memory, if it is still what is kept. Whether it is.
    fn moved(&self, is_same: impl FnOnce(&T) -> bool, to: T) -> bool {
        let kept = self.0.load();
        let Some((with, _)) = kept.as_deref().filter(|(_, made)| is_same(made)) else {
            return false;
        };
        let before = self
            .0
            .compare_and_swap(&kept, Some(Arc::new((with.clone(), to))));
        before
            .as_ref()
            .zip(kept.as_ref())
            .is_some_and(|(before, kept)| Arc::ptr_eq(before, kept))
    }
}

/// What is made of an agent, each with its persona.
#[derive(Default)]
struct OfAgent {
    shown: WithPersona,
    signature: WithPersona,
}

#[derive(Default)]
struct WithPersona(Kept<Weak<AgentConfig>, Arc<Part>>);

impl WithPersona {
    fn get_or_make(
        &self,
        persona: Option<&Arc<AgentConfig>>,
        make: impl FnOnce() -> Part,
    ) -> Arc<Part> {
        let now = persona.map_or_else(Weak::new, Arc::downgrade);
        self.0
            .get_or_make(now.clone(), |with| with.ptr_eq(&now), || Arc::new(make()))
    }
}

/// What is made of a room: what it shows of itself, with what changes of it more often.
#[derive(Default)]
struct OfRoom(Kept<Often, Arc<Part>>);

/// Whether it is finished, its last activity, and when the reader marked it.
type Often = (bool, Option<Timestamp>, Option<Timestamp>);

/// A room's own part, an object without its closing brace.
pub(crate) fn room(room: &Room, activity: &Activity, read_at: Option<Timestamp>) -> Arc<Part> {
    let with = (
        room.is_finished(activity),
        activity.last_activity_at,
        read_at,
    );
    let make = || Arc::new(opened(&RoomFields::new(room, activity, read_at)));
    room.memo
        .get_or_make(OfRoom::default)
        .0
        .get_or_make(with, |before| *before == with, make)
}

/// Writes an agent as the wire shows it.
pub(crate) fn write_agent(
    agent: &Agent,
    config: &Arc<AgentConfig>,
    session_id: Option<&str>,
    text: &mut Vec<u8>,
) {
    let memo = agent.memo.get_or_make(OfAgent::default);
    let shown = memo
        .shown
        .get_or_make(Some(config), || opened(&AgentFields::new(agent, config)));
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
        fields(
            &Shown {
                agent_name: author.name.as_str(),
                agent_profile_pic,
            },
            NO_IMAGE,
        )
    };
    Signature(
        author
            .memo
            .get_or_make(OfAgent::default)
            .signature
            .get_or_make(persona, make),
    )
}

/// What a message is on the wire, in the pieces in which it is kept.
pub(crate) struct MessageParts<'a> {
    own: Made<'a, Part>,
    signed: &'a [u8],
    image: Option<&'a Image>,
}

impl<'a> MessageParts<'a> {
    pub(crate) fn new(
        message: &'a Message,
        author: Option<&'a Signature>,
        image: Option<&'a Image>,
    ) -> Self {
        let own = message
            .memo
            .get_or_make(|| opened(&MessageFields::new(message)));
        let unsigned: &[u8] =
            b",\"agent_name\":null,\"agent_profile_pic\":null,\"image_data\":null}";
        Self {
            own,
            signed: author.map_or(unsigned, |Signature(part)| &part.0),
            image,
        }
    }

    /// Its length, a comma before it included.
    pub(crate) fn bytes(&self) -> usize {
        // Base64 needs no escapes: two quotes instead of `null`.
        1 + self.own.0.len() + self.signed.len() + self.image.map_or(0, |image| image.data.len())
    }

    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.own.0);
        let Some(image) = self.image else {
            return text.extend_from_slice(self.signed);
        };
        text.extend_from_slice(&self.signed[..self.signed.len() - b"null}".len()]);
        serde_json::to_writer(&mut *text, &image.data).expect("text is always JSON");
        text.push(b'}');
    }
}

/// What is made of a page: its text on the wire, kept while its authors are what they were.
pub(crate) struct OfPage {
    /// Rising, each once.
    pub(crate) authors: Vec<AgentId>,
    text: Kept<Written, Bytes>,
    room: Kept<Shown, Bytes>,
}

/// What a room's text was made for and of, besides the page.
pub(crate) struct Shown {
    pub(crate) room: Arc<Room>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) user: UserId,
    pub(crate) members: RoomLease,
    pub(crate) agents: AgentsLease,
    /// Of what may be kept in all.
    #[expect(dead_code, reason = "given back when it is dropped")]
    pub(crate) share: OwnedSemaphorePermit,
}

/// Of whom a page's text was made, and how to tell that they are the same without reading them.
#[derive(Clone)]
struct Written {
    authors: Vec<Seen>,
    lease: Option<AgentsLease>,
}

impl OfPage {
    pub(crate) fn new(page: &[Arc<Message>]) -> Self {
        Self {
            authors: distinct(page.iter().filter_map(|message| message.author)),
            text: Kept::default(),
            room: Kept::default(),
        }
    }

    /// The text that was kept, if its authors are known to be the same.
    pub(crate) fn text(&self, cache: &Cache) -> Option<Bytes> {
        self.text.get(|written| {
            written
                .lease
                .is_some_and(|lease| cache.holds_agents(&lease))
        })
    }

    /// The text that was kept, if `people` are who its authors were.
    pub(crate) fn text_by(&self, people: &People) -> Option<Bytes> {
        self.text.get(|written| {
            self.authors
                .iter()
                .zip(&written.authors)
                .all(|(id, seen)| people.is(*id, seen))
        })
    }

    /// `lease` was taken before `people` were read.
    pub(crate) fn keep(&self, people: &People, lease: Option<AgentsLease>, text: Bytes) {
        let authors = self.authors.iter().map(|id| people.seen(*id)).collect();
        self.text.put(Written { authors, lease }, text);
    }

    /// The text of a room that ends with this page, if all that it shows is known to be the same.
    pub(crate) fn room(
        &self,
        room: &Arc<Room>,
        activity: &Activity,
        user: &UserId,
        cache: &Cache,
    ) -> Option<Bytes> {
        self.room.get(|shown| {
            Arc::ptr_eq(&shown.room, room)
                && *shown.activity == *activity
                && shown.user == *user
                && cache.holds_room(&shown.members)
                && cache.holds_agents(&shown.agents)
        })
    }

    /// What is kept of the page from now on is its place in the room's text, so that it is kept once.
    pub(crate) fn keep_room(&self, shown: Shown, text: &Bytes, messages: &Bytes, at: Range<usize>) {
        // What is not kept of a page, since it has images, is not kept of its room.
        if self
            .text
            .moved(|kept| is_shared(kept, messages), text.slice(at))
        {
            self.room.put(shown, text.clone());
        }
    }
}

/// Whether both are one place in memory, which both keep.
fn is_shared(one: &Bytes, other: &Bytes) -> bool {
    one.as_ptr() == other.as_ptr() && one.len() == other.len()
}

/// A room's text, and where its messages stand.
pub(crate) fn join(own: &Part, members: &[u8], messages: &[u8]) -> (Bytes, Range<usize>) {
    let mut text = Vec::with_capacity(own.0.len() + members.len() + messages.len() + 32);
    text.extend_from_slice(&own.0);
    text.extend_from_slice(b",\"agents\":");
    text.extend_from_slice(members);
    text.extend_from_slice(b",\"messages\":");
    let at = text.len()..text.len() + messages.len();
    text.extend_from_slice(messages);
    text.push(b'}');
    (text.into(), at)
}
