//! The mapping from [`StaleKeys`] to the keys of regions, for write guards and for the printed
//! table.

use std::sync::Arc;

use cache_core::{Fold, Region, TailRegion, WriteGuard};
use domain::{Agent, AgentConfig, Message, ReadPosition, RecentEvent, Room};

use crate::{
    keys::{ListKey, MemoryKey, ReadKey, RegionKey, Selection},
    log_copies::log_seq,
    regions::{Regions, Value},
    stale::StaleKeys,
};

/// The values that a committed write returned, as its regions hold them. Each is stored under the
/// key that the write names.
#[derive(Default)]
pub(crate) struct Returned {
    pub(crate) agent: Option<Arc<Agent>>,
    pub(crate) config: Option<Arc<AgentConfig>>,
    pub(crate) memories: Option<Arc<[RecentEvent]>>,
    pub(crate) room: Option<Arc<Room>>,
    pub(crate) position: Option<Arc<ReadPosition>>,
    /// A message that the write appended to its room's log.
    pub(crate) message: Option<Arc<Message>>,
}

/// The result of a write, and the part of it that the regions hold.
pub(crate) struct Committed<T> {
    pub(crate) value: T,
    pub(crate) returned: Returned,
}

/// A receiver of the keys that a write makes stale, region by region.
///
/// There are three receivers: the write guard, the printed table, and the keys that another process
/// made stale. All get the keys from [`cover`], so the table shows exactly the keys that a guard
/// covers.
pub(crate) trait Covers: Sized {
    /// Adds `key`, which the write makes stale.
    fn key<K: RegionKey, V: Value>(self, region: &Region<K, V>, key: K) -> Self;

    /// Adds `key`, whose new value is stored if the write returned it.
    fn key_storing<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        key: K,
        _value: fn(&Returned) -> Option<V>,
    ) -> Self {
        self.key(region, key)
    }

    /// Adds a key that the write may create, and whose id no caller knows yet. The region's
    /// absences become stale.
    fn creating<K: RegionKey, V: Value>(self, region: &Region<K, V>) -> Self;

    /// Adds the keys for which `covers` returns `true`. `glob` matches their printed forms.
    fn keys_where<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        glob: &str,
        covers: Box<dyn Fn(&K) -> bool + Send + Sync>,
    ) -> Self;

    /// Adds the keys of `selection`, which the write makes stale.
    fn selection<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        selection: Selection<K>,
    ) -> Self {
        match selection {
            Selection::Nothing => self,
            Selection::Key(key) => self.key(region, key),
            Selection::Where { glob, covers } => self.keys_where(region, &glob, covers),
        }
    }

    /// Adds the log of `key`, to which the write appends a message.
    fn append<K: RegionKey, C: Fold<Entry = Arc<Message>>>(
        self,
        region: &TailRegion<K, C>,
        key: K,
    ) -> Self;
}

impl<T: Send + 'static> Covers for WriteGuard<Committed<T>> {
    fn key<K: RegionKey, V: Value>(self, region: &Region<K, V>, key: K) -> Self {
        self.key(region, key)
    }

    fn key_storing<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        key: K,
        value: fn(&Returned) -> Option<V>,
    ) -> Self {
        self.key_storing(region, key, move |committed| value(&committed.returned))
    }

    fn creating<K: RegionKey, V: Value>(self, region: &Region<K, V>) -> Self {
        self.creating(region)
    }

    fn keys_where<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        _glob: &str,
        covers: Box<dyn Fn(&K) -> bool + Send + Sync>,
    ) -> Self {
        self.keys_where(region, covers)
    }

    fn append<K: RegionKey, C: Fold<Entry = Arc<Message>>>(
        self,
        region: &TailRegion<K, C>,
        key: K,
    ) -> Self {
        self.append(region, key, |committed| {
            let message = committed.returned.message.clone();
            message.map(|message| (log_seq(message.seq), message))
        })
    }
}

/// Adds the keys that `keys` stands for, in each region, to `covers`.
pub(crate) fn cover<C: Covers>(covers: C, keys: StaleKeys, regions: &Regions) -> C {
    match keys {
        StaleKeys::Agent(id) => {
            covers.key_storing(&regions.agent_obj, id, |returned| returned.agent.clone())
        }
        StaleKeys::NewAgent => covers.creating(&regions.agent_obj),
        StaleKeys::Config(id) => covers.key_storing(&regions.agent_config, id, |returned| {
            returned.config.clone()
        }),
        StaleKeys::NewConfig => covers.creating(&regions.agent_config),
        StaleKeys::AgentList => covers.key(&regions.agent_list, ListKey),
        StaleKeys::Memories(agent, owner) => {
            let key = MemoryKey { owner, agent };
            covers.key_storing(&regions.agent_memories, key, |returned| {
                returned.memories.clone()
            })
        }
        StaleKeys::MemoriesBy(agent) => {
            covers.selection(&regions.agent_memories, RegionKey::of_agent(agent))
        }
        StaleKeys::MemoriesOf(owner) => {
            covers.selection(&regions.agent_memories, MemoryKey::of_owner(owner))
        }
        StaleKeys::Room(id) => {
            covers.key_storing(&regions.room_obj, id, |returned| returned.room.clone())
        }
        StaleKeys::NewRoom => covers.creating(&regions.room_obj),
        StaleKeys::RoomList => covers.key(&regions.room_list, ListKey),
        StaleKeys::RoomsOf(owner) => covers.key(&regions.rooms_of, owner),
        StaleKeys::Members(room) => covers.key(&regions.room_agents, room),
        StaleKeys::NewMembers => covers.creating(&regions.room_agents),
        StaleKeys::Log(room) => covers
            .key(regions.room_messages.region(), room)
            .key(regions.room_answers.region(), room)
            .key(regions.room_activity.region(), room),
        StaleKeys::NewLog => covers
            .creating(regions.room_messages.region())
            .creating(regions.room_answers.region())
            .creating(regions.room_activity.region()),
        // A guard appends to the log that was added last first, so `room_messages` is appended to
        // last. A listener on `room_messages` then finds the activity and the answer counts up to
        // date.
        StaleKeys::Appended(room) => covers
            .append(&regions.room_messages, room)
            .append(&regions.room_answers, room)
            .append(&regions.room_activity, room),
        StaleKeys::Images(room) => {
            covers.selection(&regions.message_image, RegionKey::of_room(room))
        }
        StaleKeys::NewImage => covers.creating(&regions.message_image),
        StaleKeys::Sessions(room) => covers.key(&regions.room_sessions, room),
        StaleKeys::Read(user, room) => {
            let key = ReadKey { user, room };
            covers.key_storing(&regions.read_state, key, |returned| {
                returned.position.clone().map(Some)
            })
        }
        StaleKeys::Reads(room) => covers.selection(&regions.read_state, RegionKey::of_room(room)),
    }
}
