//! The table of regions, with one row for each kind of cached data.

use std::{sync::Arc, time::Duration};

use cache_core::{Fold, Manager, Policy, Region, TailRegion};
use domain::{
    Agent, AgentConfig, AgentId, Image, Member, ReadPosition, RecentEvent, Room, RoomId, Session,
    UserId,
};

use crate::{
    keys::{ImageKey, ListKey, MemoryKey, ReadKey, RegionKey, Selection},
    log_copies::{ActivityCopy, AnswerCountsCopy},
    newest::NewestMessages,
    options::Options,
    row::Row,
};

/// Returns `true` if a row of the table below says `polled`.
macro_rules! is_polled {
    (polled) => {
        true
    };
    () => {
        false
    };
}

/// Generates code from the table below: [`Regions`] with its constructor, [`NAMES`], a [`Row`] for
/// each region, and the methods that remove all keys of a room or an agent.
///
/// A line of the table consists of the region's name, its type, a description of the data, the two
/// default TTLs in seconds (`Preset::Classic` and `Preset::Coherent`) with `polled` if polls read
/// the data, the minimum and maximum TTL that suit it, and the constructor with the capacity and
/// its unit.
macro_rules! regions {
    ($(
        $name:ident: $region:ty, $data:literal,
        ttl($classic:literal, $coherent:literal $(, $polled:ident)?),
        suits($least:literal, $most:literal),
        $build:ident($capacity:literal $unit:ident);
    )*) => {
        /// The regions of one store, one for each kind of data.
        pub(crate) struct Regions {
            $(pub(crate) $name: $region,)*
        }

        /// The names of all regions. Settings, statistics and printed keys use them.
        #[derive(Clone, Copy, Debug)]
        pub struct RegionNames {
            $(#[doc = concat!("The name of the region that holds ", $data, ".")]
            pub $name: &'static str,)*
        }

        /// The names of all regions.
        pub const NAMES: RegionNames = RegionNames {
            $($name: stringify!($name),)*
        };

        const ROWS: &[Row] = &[$(Row {
            region: NAMES.$name,
            key: <<$region as CachedRegion>::Key as RegionKey>::FORM,
            classic: $classic,
            coherent: $coherent,
            capacity: $capacity,
            unit: stringify!($unit),
            suits: ($least, $most),
            is_polled: is_polled!($($polled)?),
            data: $data,
        },)*];

        impl Regions {
            pub(crate) fn new(manager: &Manager, options: &Options) -> Self {
                let mut rows = ROWS.iter();
                let mut next_row = || rows.next().expect("the macro makes a row of each region");
                Self {
                    $($name: {
                        let row = next_row();
                        $build(manager, row.region, options.policy(row))
                    },)*
                }
            }

            /// Removes every cached entry of `room`. Returns the number of removed entries.
            pub(crate) fn invalidate_room(&self, room: RoomId) -> usize {
                [$(invalidate(&self.$name, RegionKey::of_room(room)),)*]
                    .into_iter()
                    .sum()
            }

            /// Removes every cached entry of `agent`. Returns the number of removed entries.
            pub(crate) fn invalidate_agent(&self, agent: AgentId) -> usize {
                [$(invalidate(&self.$name, RegionKey::of_agent(agent)),)*]
                    .into_iter()
                    .sum()
            }
        }

        /// The name of each region, and a function that returns two flags: `true` if keys of the
        /// region are removed with a room, and `true` if keys are removed with an agent.
        #[cfg(test)]
        const REMOVED_WITH: &[(&str, fn() -> (bool, bool))] = &[$((NAMES.$name, || {
            type Key = <$region as CachedRegion>::Key;
            (
                !matches!(Key::of_room(RoomId(7)), Selection::Nothing),
                !matches!(Key::of_agent(AgentId(3)), Selection::Nothing),
            )
        }),)*];
    };
}

regions! {
    agent_config: Region<AgentId, Arc<AgentConfig>>, "an agent's persona",
        ttl(300, 900), suits(10, 3_600), plain(10_000 entries);
    agent_obj: Region<AgentId, Arc<Agent>>, "an agent's identity or tombstone",
        ttl(300, 900), suits(10, 3_600), plain(10_000 entries);
    agent_list: Region<ListKey, Arc<[AgentId]>>, "ids of the newest 1,000 agents",
        ttl(300, 900), suits(10, 3_600), plain(16 entries);
    agent_memories: Region<MemoryKey, Arc<[RecentEvent]>>,
        "what an agent remembers of an owner's rooms",
        ttl(300, 900), suits(10, 3_600), memories(16_777_216 bytes);
    room_obj: Region<RoomId, Arc<Room>>, "a room",
        ttl(30, 300, polled), suits(5, 3_600), plain(100_000 entries);
    room_list: Region<ListKey, Arc<[RoomId]>>, "ids of the newest 1,000 rooms",
        ttl(30, 300), suits(5, 3_600), plain(16 entries);
    rooms_of: Region<UserId, Arc<[RoomId]>>, "ids of an owner's newest 1,000 rooms",
        ttl(30, 300), suits(5, 3_600), plain(10_000 entries);
    room_agents: Region<RoomId, Arc<[Member]>>, "a room's members",
        ttl(60, 900, polled), suits(5, 3_600), plain(100_000 entries);
    room_activity: TailRegion<RoomId, ActivityCopy>, "a room's last sequence number and activity",
        ttl(5, 300, polled), suits(1, 3_600), log_copies(100_000 entries);
    room_messages: TailRegion<RoomId, NewestMessages>, "a room's newest messages",
        ttl(5, 300, polled), suits(1, 3_600), weighed_log_copies(268_435_456 bytes);
    room_answers: TailRegion<RoomId, AnswerCountsCopy>, "answer counts of a room's agents",
        ttl(5, 300), suits(1, 3_600), log_copies(100_000 entries);
    room_sessions: Region<RoomId, Arc<[Session]>>, "the agents' sessions in a room",
        ttl(60, 900), suits(5, 3_600), plain(100_000 entries);
    message_image: Region<ImageKey, Arc<Image>>, "a message's image",
        ttl(300, 900), suits(10, 3_600), images(33_554_432 bytes);
    // If a user has no read position in the room, `None` is cached as a value, not as an absence.
    // This is the usual case, and only a mark by the same user in the same room changes it.
    read_state: Region<ReadKey, Option<Arc<ReadPosition>>>, "how far a user has read a room",
        ttl(30, 900), suits(1, 3_600), plain(100_000 entries);
}

/// Returns the table of regions, one row for each region.
///
/// ```
/// use cache_adapter::{NAMES, rows};
///
/// assert!(rows().iter().any(|row| row.region == NAMES.room_messages && row.unit == "bytes"));
/// ```
pub fn rows() -> &'static [Row] {
    ROWS
}

/// The typical weight of an entry, in bytes: a short log, or a small picture. A region whose
/// capacity is in bytes estimates its number of entries from it.
const TYPICAL_BYTES: u32 = 65_536;
/// The typical weight of what an agent remembers of an owner, in bytes. Most remember nothing.
const TYPICAL_MEMORIES: u32 = 1_024;
/// The weight of an image in addition to its data, in bytes: the allocation, the media type and the
/// region's key.
const IMAGE_OVERHEAD: usize = 128;

fn plain<K: RegionKey, V: Value>(
    manager: &Manager,
    name: &'static str,
    policy: Policy,
) -> Region<K, V> {
    manager.region_builder(name, policy).printed_keys().build()
}

/// Creates a region of copies of rooms' logs. Each copy counts as one entry.
fn log_copies<C: Fold>(
    manager: &Manager,
    name: &'static str,
    policy: Policy,
) -> TailRegion<RoomId, C> {
    log_copies_of(manager, name, policy, 1)
}

/// Creates a region of copies of rooms' logs. Its capacity is in bytes, and [`Fold::weight`]
/// returns the size of a copy.
fn weighed_log_copies<C: Fold>(
    manager: &Manager,
    name: &'static str,
    policy: Policy,
) -> TailRegion<RoomId, C> {
    log_copies_of(manager, name, policy, TYPICAL_BYTES)
}

fn log_copies_of<C: Fold>(
    manager: &Manager,
    name: &'static str,
    policy: Policy,
    typical: u32,
) -> TailRegion<RoomId, C> {
    let region = manager.tail_region_builder(name, policy, typical);
    region.printed_keys().build()
}

fn images(manager: &Manager, name: &'static str, policy: Policy) -> Region<ImageKey, Arc<Image>> {
    // Callers read a message's image only if the message says that it has one. Other reads are made
    // with guessed ids, and must not fill the region with absences.
    let policy = policy.absence_ttl(Duration::ZERO);
    let bytes = |_: &_, image: &Arc<Image>| {
        u32::try_from(image.data.len() + IMAGE_OVERHEAD).unwrap_or(u32::MAX)
    };
    manager
        .region_builder(name, policy)
        .weigher(TYPICAL_BYTES, bytes)
        .printed_keys()
        .build()
}

/// The weight of a memory in addition to its text, in bytes.
const MEMORY_OVERHEAD: usize = 64;

fn memories(
    manager: &Manager,
    name: &'static str,
    policy: Policy,
) -> Region<MemoryKey, Arc<[RecentEvent]>> {
    let bytes = |_: &_, memories: &Arc<[RecentEvent]>| {
        let texts = memories.iter().map(|memory| memory.text.len());
        let bytes: usize = texts.map(|bytes| bytes + MEMORY_OVERHEAD).sum();
        u32::try_from(bytes + MEMORY_OVERHEAD).unwrap_or(u32::MAX)
    };
    manager
        .region_builder(name, policy)
        .weigher(TYPICAL_MEMORIES, bytes)
        .printed_keys()
        .build()
}

/// A type of values that a region can hold.
pub(crate) trait Value: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> Value for V {}

/// The operations of the macro `regions!` that [`Region`] and [`TailRegion`] have in common.
trait CachedRegion {
    type Key: RegionKey;

    /// Removes the entry of a key. Returns `true` if there was an entry.
    fn remove_key(&self, key: &Self::Key) -> bool;

    /// Removes the keys for which `covers` returns `true`. Returns how many there were.
    fn remove_keys(&self, covers: &(dyn Fn(&Self::Key) -> bool + Send + Sync)) -> usize;
}

impl<K: RegionKey, V: Value> CachedRegion for Region<K, V> {
    type Key = K;

    fn remove_key(&self, key: &K) -> bool {
        self.remove(key)
    }

    fn remove_keys(&self, covers: &(dyn Fn(&K) -> bool + Send + Sync)) -> usize {
        self.remove_where(covers)
    }
}

impl<K: RegionKey, C: Fold> CachedRegion for TailRegion<K, C> {
    type Key = K;

    fn remove_key(&self, key: &K) -> bool {
        self.region().remove(key)
    }

    fn remove_keys(&self, covers: &(dyn Fn(&K) -> bool + Send + Sync)) -> usize {
        self.region().remove_where(covers)
    }
}

fn invalidate<R: CachedRegion>(region: &R, selection: Selection<R::Key>) -> usize {
    match selection {
        Selection::Nothing => 0,
        Selection::Key(key) => usize::from(region.remove_key(&key)),
        Selection::Where { covers, .. } => region.remove_keys(&*covers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_keyed_by_a_room_or_an_agent_is_removed_with_it() {
        for row in rows() {
            let names = |id: &str| row.key.split('/').any(|part| part == id);
            let removed_with = REMOVED_WITH
                .iter()
                .find(|(region, _)| *region == row.region)
                .map(|(_, removed_with)| removed_with());
            assert_eq!(
                removed_with,
                Some((names("room_id"), names("agent_id"))),
                "{} is keyed by {}",
                row.region,
                row.key
            );
        }
    }
}
