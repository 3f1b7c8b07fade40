//! The mapping from [`StaleKeys`] to the keys of regions, for write guards and for the printed
//! table.

use cache_core::{Fold, Key, Region, TailRegion, WriteGuard};

use crate::{
    keys::{ListKey, ReadKey},
    regions::{Regions, Value},
    stale::StaleKeys,
};

/// A receiver of the keys that a write makes stale, region by region.
///
/// There are two receivers: the write guard, and the printed table. Both get the keys from
/// [`cover`], so the table shows exactly the keys that a guard covers.
pub(crate) trait Covers: Sized {
    /// Adds `key`, which the write makes stale.
    fn key<K: Key, V: Value>(self, region: &Region<K, V>, key: K) -> Self;

    /// Adds a key that the write may create, and whose id no caller knows yet. The region's
    /// absences become stale.
    fn creating<K: Key, V: Value>(self, region: &Region<K, V>) -> Self;

    /// Adds all keys of the region, which the write makes stale.
    fn region<K: Key, V: Value>(self, region: &Region<K, V>) -> Self;

    /// Adds the log of `key`, to which the write appends.
    fn append<K: Key, C: Fold>(self, region: &TailRegion<K, C>, key: K) -> Self;
}

impl Covers for WriteGuard {
    fn key<K: Key, V: Value>(self, region: &Region<K, V>, key: K) -> Self {
        self.key(region, key)
    }

    fn creating<K: Key, V: Value>(self, region: &Region<K, V>) -> Self {
        self.creating(region)
    }

    fn region<K: Key, V: Value>(self, region: &Region<K, V>) -> Self {
        self.region(region)
    }

    fn append<K: Key, C: Fold>(self, region: &TailRegion<K, C>, key: K) -> Self {
        self.append(region, key)
    }
}

/// Adds the keys that `keys` stands for, in each region, to `covers`.
pub(crate) fn cover<C: Covers>(covers: C, keys: StaleKeys, regions: &Regions) -> C {
    match keys {
        StaleKeys::Agent(id) => covers.key(&regions.agent_obj, id),
        StaleKeys::NewAgent => covers.creating(&regions.agent_obj),
        StaleKeys::Config(id) => covers.key(&regions.agent_config, id),
        StaleKeys::NewConfig => covers.creating(&regions.agent_config),
        StaleKeys::AgentList => covers.key(&regions.agent_list, ListKey),
        StaleKeys::Room(id) => covers.key(&regions.room_obj, id),
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
        StaleKeys::AllImages => covers.region(&regions.message_image),
        StaleKeys::Sessions(room) => covers.key(&regions.room_sessions, room),
        StaleKeys::Read(user, room) => covers.key(&regions.read_state, ReadKey { user, room }),
        StaleKeys::AllReads => covers.region(&regions.read_state),
    }
}
