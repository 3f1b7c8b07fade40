//! JSON of agents, rooms and messages, and the cache that keeps it.
//!
//! A handler reads entities through the ports and asks its [`Renderer`] for their JSON. The
//! renderer joins what the wire shows together (authors' names, members' personas, images). It
//! keeps the result in the [`RenderCache`], because rendering a message costs ten times what
//! copying its text does.
//!
//! # What is cached
//!
//! | key | text | derived from |
//! |---|---|---|
//! | message | the object up to its author's fields | the message |
//! | agent | the object up to `session_id` | the agent and its persona |
//! | room fields | the object up to its members | the room, its activity, the read time |
//! | page | the whole array | the page, its authors and their personas |
//! | room and user | the whole object | all that it shows |
//!
//! Clients poll for pages and rooms, so a hit sends the cached bytes without a copy. The parts make
//! a page or room cheap to render again after one of its sources has changed. Texts with images are
//! not cached: the region `message_image` bounds how many images are in memory.
//!
//! # When an entry is stale
//!
//! A key names what is shown, not its version. An entry therefore also records its sources, and a
//! reader uses it only if a fresh read would return the same ones:
//!
//! * An entity or page that the reader holds already must be the same allocation. Shared values are
//!   immutable, so the same address means the same content. The entry holds a
//!   [`Weak`](std::sync::Weak), which keeps the address from being reused while the entry lives.
//! * Small values (activity, read time) must be equal.
//! * Values that the reader has not read must be covered by a lease that is still valid. An
//!   [`AgentsLease`](cache_adapter::AgentsLease) covers authors and members, a
//!   [`RoomLease`](cache_adapter::RoomLease) the membership, the sessions and the read position.
//!   A lease is taken before its values are read, so a write in between ends it.
//!
//! Nothing has to remove stale entries: the next rendering replaces them, or they are evicted.
//! Requests that bypass the cache neither read nor write entries.
//!
//! # What bounds the cache
//!
//! [`RENDER_CACHE_BYTES`] bounds the texts and their bookkeeping in all. Eviction removes what was
//! rarely read. A text larger than a shard of the cache is rendered for each reader.

mod agent;
mod agent_set;
mod json;
mod message;
mod page;
mod renderer;
mod room;
mod summaries;

pub(crate) use json::{Json, json_response};
pub(crate) use renderer::Renderer;
