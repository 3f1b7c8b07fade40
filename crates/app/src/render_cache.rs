//! The bounded cache of rendered JSON: keys, sources, entries.

use std::{
    fmt, ptr,
    sync::{Arc, Weak},
};

use axum::body::Bytes;
use cache_adapter::{AgentsLease, RoomLease};
use domain::{
    Activity, Agent, AgentConfig, AgentId, Message, MessageId, Page, Room, RoomId, Timestamp,
    UserId,
};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// The capacity of the cache, in bytes. The size of an entry includes its bookkeeping.
///
/// A room whose 200 newest messages have 250 characters each takes about 400 kB with all its parts,
/// and 2 kB if clients only poll it. So the cache can hold the rooms that are open at the same
/// time. The capacity is small compared to the defaults of `room_messages` (256 MiB) and
/// `message_image` (32 MiB).
pub const RENDER_CACHE_BYTES: u64 = 64 << 20;

/// The number of independently locked parts of the cache.
///
/// With fewer parts, cores would often contend for one lock. With more parts, a part (4 MiB by
/// default) could not hold a room with long messages.
const SHARDS: usize = 16;

/// The size of an entry without its text and sources, in bytes.
///
/// It consists of the key, the entry, its reference counts, and the node and index of the cache.
/// The index may be half empty after it has grown, hence the factor 2.
const ENTRY_BYTES: usize = 2 * (size_of::<Key>() + size_of::<Arc<Entry>>() + 32)
    + size_of::<Entry>()
    + 2 * size_of::<usize>()
    + 32;

/// The identity of the object that a text shows. It does not contain the object's version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Message(MessageId),
    Agent(AgentId),
    RoomFields(RoomId),
    /// The room, and the first and the last message of the page. Pages with the same key show the
    /// same part of the room's log.
    Page(RoomId, MessageId, MessageId),
    Room(RoomId, UserId),
}

impl Key {
    /// Returns the key of a page; `None` for the empty page, which is never cached.
    pub(crate) fn page(room: RoomId, page: &Page) -> Option<Self> {
        Some(Self::Page(room, page.first()?.id, page.last()?.id))
    }
}

/// The values that a text was derived from.
pub(crate) enum Sources {
    Message(Weak<Message>),
    Agent(Weak<Agent>, Weak<AgentConfig>),
    RoomFields(Weak<Room>, Changing),
    Page(WeakPage, AgentsLease),
    /// Boxed, because it is larger than the other variants, which are more frequent.
    Room(Box<RoomSources>),
}

/// The values in a room's text that are not fields of [`Room`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changing {
    pub(crate) is_finished: bool,
    pub(crate) last_activity_at: Option<Timestamp>,
    pub(crate) last_read_at: Option<Timestamp>,
}

/// The values that a whole room was rendered from.
pub(crate) struct RoomSources {
    pub(crate) room: Weak<Room>,
    pub(crate) newest: WeakPage,
    pub(crate) activity: Arc<Activity>,
    pub(crate) members: RoomLease,
    pub(crate) agents: AgentsLease,
}

/// A weak reference to a page, which is compared by address. It contains `None` for the empty page.
pub(crate) struct WeakPage(Option<Weak<[Arc<Message>]>>);

impl WeakPage {
    pub(crate) fn new(page: &Page) -> Self {
        Self(page.shared().map(Arc::downgrade))
    }

    pub(crate) fn is(&self, page: &Page) -> bool {
        match (&self.0, page.shared()) {
            (Some(source), Some(current)) => is_same(source, current),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns the size of the page's slice of pointers. The slice of a dropped page stays
    /// allocated until the last `Weak` is dropped.
    fn bytes(&self) -> usize {
        let pointers = self.0.as_ref().map_or(0, |page| {
            let page: *const [Arc<Message>] = page.as_ptr();
            page.len()
        });
        pointers * size_of::<Arc<Message>>()
    }
}

/// Returns `true` if `source` and `current` point to the same allocation.
///
/// The `Weak` keeps the allocation of a dropped value. So a newer value cannot get the same
/// address.
pub(crate) fn is_same<T: ?Sized>(source: &Weak<T>, current: &Arc<T>) -> bool {
    ptr::addr_eq(source.as_ptr(), Arc::as_ptr(current))
}

impl Sources {
    /// Returns the size of the allocations that the sources keep alive.
    ///
    /// A `Weak` keeps only the inline part of a dropped value, not its strings. So messages, agents
    /// and rooms count with their inline size.
    fn bytes(&self) -> usize {
        match self {
            Self::Message(_) => size_of::<Message>(),
            Self::Agent(..) => size_of::<Agent>() + size_of::<AgentConfig>(),
            Self::RoomFields(..) => size_of::<Room>(),
            Self::Page(page, _) => page.bytes(),
            Self::Room(sources) => {
                size_of::<RoomSources>() + size_of::<Activity>() + sources.newest.bytes()
            }
        }
    }
}

/// A cached text, and the values that it was derived from.
struct Entry {
    text: Bytes,
    sources: Sources,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Entry>> for ByBytes {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        let user = match key {
            Key::Room(_, user) => user.as_str().len(),
            _ => 0,
        };
        (ENTRY_BYTES + user + entry.text.len() + entry.sources.bytes()) as u64
    }
}

/// A cache of rendered JSON, bounded in bytes. The documentation of the module `http::rendered`
/// states when an entry may be used.
pub struct RenderCache {
    entries: Cache<Key, Arc<Entry>, ByBytes>,
}

impl fmt::Debug for RenderCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderCache")
            .field("entries", &self.entries.len())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

impl Default for RenderCache {
    fn default() -> Self {
        Self::new(RENDER_CACHE_BYTES)
    }
}

impl RenderCache {
    /// Creates a cache of at most `bytes`.
    pub fn new(bytes: u64) -> Self {
        // Most entries are single messages, which take about 1 KiB each.
        let entries = usize::try_from(bytes >> 10).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(entries)
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are set");
        let entries = Cache::with_options(
            options,
            ByBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { entries }
    }

    /// Returns the size of all entries, in bytes.
    pub fn weight(&self) -> u64 {
        self.entries.weight()
    }

    /// Removes all entries to free their memory. This is never needed for correctness, because
    /// readers do not use stale entries.
    pub fn clear(&self) {
        self.entries.clear();
    }

    /// Returns the text under `key` if `is_current` accepts its sources.
    pub(crate) fn get(
        &self,
        key: &Key,
        is_current: impl FnOnce(&Sources) -> bool,
    ) -> Option<Bytes> {
        let entry = self.entries.get(key)?;
        is_current(&entry.sources).then(|| entry.text.clone())
    }

    /// Stores a text under `key` and replaces the text that was there. A text larger than a shard
    /// is not stored.
    pub(crate) fn insert(&self, key: Key, sources: Sources, text: Bytes) {
        self.entries.insert(key, Arc::new(Entry { text, sources }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(cache: &RenderCache, id: i64, source: &Arc<Room>, text: &'static [u8]) {
        let sources = Sources::RoomFields(Arc::downgrade(source), changing());
        cache.insert(
            Key::RoomFields(RoomId(id)),
            sources,
            Bytes::from_static(text),
        );
    }

    fn changing() -> Changing {
        Changing {
            is_finished: false,
            last_activity_at: None,
            last_read_at: None,
        }
    }

    fn room() -> Arc<Room> {
        Arc::new(Room {
            id: RoomId(1),
            owner: UserId::admin(),
            name: domain::RoomName::parse("tea").unwrap(),
            direct_agent: None,
            max_interactions: None,
            is_paused: false,
            finished_seq: None,
            last_error: None,
            created_at: Timestamp::default(),
            version: 1,
        })
    }

    fn found(cache: &RenderCache, id: i64, current: &Arc<Room>) -> Option<Bytes> {
        cache.get(
            &Key::RoomFields(RoomId(id)),
            |sources| matches!(sources, Sources::RoomFields(room, _) if is_same(room, current)),
        )
    }

    #[test]
    fn an_entry_counts_only_for_the_value_that_it_was_derived_from() {
        let (cache, first) = (RenderCache::default(), room());
        activity(&cache, 1, &first, b"first");
        assert_eq!(found(&cache, 1, &first).as_deref(), Some(&b"first"[..]));
        assert_eq!(found(&cache, 2, &first), None);
        let equal = Arc::new((*first).clone());
        assert_eq!(found(&cache, 1, &equal), None, "equal is not the same");
        drop(first);
        for _ in 0..1_000 {
            let address_may_be_reused = room();
            assert_eq!(found(&cache, 1, &address_may_be_reused), None);
        }
        activity(&cache, 1, &equal, b"second");
        assert_eq!(found(&cache, 1, &equal).as_deref(), Some(&b"second"[..]));
    }

    #[test]
    fn entries_never_weigh_more_than_the_budget() {
        const BUDGET: u64 = 1 << 20;
        let (cache, source) = (RenderCache::new(BUDGET), room());
        let text: &'static [u8] = Vec::leak(vec![b'x'; 1 << 10]);
        for id in 0..10_000 {
            activity(&cache, id, &source, text);
            assert!(cache.weight() <= BUDGET, "{} after {id}", cache.weight());
        }
        assert!(cache.weight() > BUDGET / 2, "{}", cache.weight());
        let longer: &'static [u8] = Vec::leak(vec![b'x'; 1 << 20]);
        activity(&cache, 1, &source, longer);
        assert_eq!(found(&cache, 1, &source), None, "it would fill the budget");
        cache.clear();
        assert_eq!(cache.weight(), 0);
    }

    #[test]
    fn the_empty_page_is_the_same_as_itself_alone() {
        let empty = WeakPage::new(&Page::default());
        assert!(empty.is(&Page::default()));
        assert!(Key::page(RoomId(1), &Page::default()).is_none());
    }
}
