//! JSON of agents, rooms and messages, and the rules of the cache that holds it.
//!
//! A handler reads entities through the ports and asks its [`Renderer`] for their JSON. The
//! renderer combines all values that the JSON shows: authors' names, members' personas, images. It
//! stores the result in the [`RenderCache`](crate::render_cache::RenderCache), because rendering a
//! message costs ten times as much as copying its text.
//!
//! # What is cached
//!
//! | key | text | derived from |
//! |---|---|---|
//! | message | the object up to its author's fields | the message |
//! | agent | the object up to `session_id` | the agent and its persona |
//! | room fields | the object up to its agents | the room, its activity, the read time |
//! | page | the whole array | the page, its authors and their personas |
//! | room and user | the whole object | all values in the object |
//!
//! Clients poll for pages and rooms. So these are cached whole, and a hit sends the cached bytes
//! without a copy. The other entries make a page or room cheap to render again after one of its
//! sources has changed. Texts with images are not cached: the region `message_image` bounds how
//! many images are in memory.
//!
//! Messages have at most 512 KiB in one answer, without images. Longer texts and images hold a
//! permit until they are sent, which bounds the bytes on the way to clients that read slowly.
//!
//! # When an entry is stale
//!
//! A key identifies an object, not a version of it. An entry therefore also records its sources,
//! which are the values that its text was derived from. A reader uses the entry only if a fresh
//! read would return the same values:
//!
//! * An entity or page that the reader has already read must be the same allocation. Shared values
//!   are immutable, so the same address means the same content. The entry holds a
//!   [`Weak`](std::sync::Weak), which keeps the address from being reused while the entry lives.
//! * Small values (activity, read time) must be equal.
//! * Values that the reader has not read must be covered by a lease that is still valid. An
//!   [`AgentsLease`](cache_adapter::AgentsLease) covers authors and members. A
//!   [`RoomLease`](cache_adapter::RoomLease) covers the members, the sessions and the read
//!   position. A lease is taken before its values are read, so a write in between invalidates the
//!   lease.
//!
//! Stale entries need not be removed: the next rendering replaces them, or they are evicted.
//! Requests that bypass the cache neither read nor write entries.
//!
//! # What bounds the cache
//!
//! [`RENDER_CACHE_BYTES`](crate::render_cache::RENDER_CACHE_BYTES) bounds all texts with their
//! bookkeeping. Eviction removes texts that were rarely read. A text larger than a shard of the
//! cache is not cached, so it is rendered for each reader.

mod agent;
mod agent_set;
mod images;
mod json;
mod message;
mod page;
mod renderer;
mod room;
mod size;
mod summaries;

pub(crate) use json::{Json, json_response};
pub(crate) use page::EMPTY_PAGE;
pub(crate) use renderer::Renderer;
pub(crate) use size::{Kept, fitting};
