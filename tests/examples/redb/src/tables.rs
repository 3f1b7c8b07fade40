//! The tables of the store, their counters, and the ranges of keys that belong together.

use std::ops::Bound::{Excluded, Included, Unbounded};

use domain::{
    Activity, Agent, AgentConfig, AgentId, Image, Member, Message, MessageId, ReadPosition, Room,
    RoomId, UsageRecord, UserId,
};
use redb::{Key, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::{
    database_file::TxResult,
    json_table::{JsonTable, Span, Tables, get_entry, remove_span},
    rows::{MemoriesRow, SentRow},
};

/// A table whose values are ids, sequence numbers or counts.
pub(crate) type NumberTable<K> = TableDefinition<'static, K, i64>;

pub(crate) const COUNTERS: NumberTable<&str> = TableDefinition::new("counters");
pub(crate) const AGENTS: JsonTable<i64, Agent> = JsonTable::new("agents");
pub(crate) const TOMBSTONES: JsonTable<i64, Agent> = JsonTable::new("tombstones");
pub(crate) const AGENT_NAMES: NumberTable<&str> = TableDefinition::new("agent_names");
pub(crate) const PERSONAS: JsonTable<i64, AgentConfig> = JsonTable::new("personas");
pub(crate) const PICTURES: TableDefinition<'static, i64, &[u8]> = TableDefinition::new("pictures");
pub(crate) const ROOMS: JsonTable<i64, Room> = JsonTable::new("rooms");
pub(crate) const OWNER_ROOMS: TableDefinition<'static, (&str, i64), ()> =
    TableDefinition::new("owner_rooms");
pub(crate) const ROOM_NAMES: NumberTable<(&str, &str)> = TableDefinition::new("room_names");
pub(crate) const DIRECT_ROOMS: NumberTable<(&str, i64)> = TableDefinition::new("direct_rooms");
pub(crate) const ACTIVITIES: JsonTable<i64, Activity> = JsonTable::new("activities");
pub(crate) const MEMBERS: JsonTable<(i64, i64), Member> = JsonTable::new("members");
pub(crate) const MEMBER_PLACES: NumberTable<(i64, i64)> = TableDefinition::new("member_places");
pub(crate) const SESSIONS: TableDefinition<'static, (i64, i64), &str> =
    TableDefinition::new("sessions");
pub(crate) const MESSAGES: JsonTable<(i64, i64), Message> = JsonTable::new("messages");
pub(crate) const IMAGES: JsonTable<(i64, i64), Image> = JsonTable::new("images");
pub(crate) const IMAGE_BYTES: NumberTable<(i64, i64)> = TableDefinition::new("image_bytes");
pub(crate) const REMOVALS: NumberTable<(i64, i64)> = TableDefinition::new("removals");
pub(crate) const SENT: JsonTable<(&str, &str), SentRow> = JsonTable::new("sent");
pub(crate) const AUTHORED: NumberTable<(i64, i64, i64)> = TableDefinition::new("authored");
pub(crate) const ANSWER_COUNTS: NumberTable<(i64, i64)> = TableDefinition::new("answer_counts");
pub(crate) const READ_POSITIONS: JsonTable<(i64, &str), ReadPosition> =
    JsonTable::new("read_positions");

pub(crate) const MEMORIES: JsonTable<(&str, i64), MemoriesRow> = JsonTable::new("memories");
pub(crate) const USAGE: JsonTable<UsageTableKey, UsageRecord> = JsonTable::new("usage");

/// The day, the owner, the room, the agent and the model of a record.
pub(crate) type UsageTableKey = (&'static str, &'static str, i64, i64, &'static str);

/// Creates the tables that are missing, because redb cannot read a table that was never written.
pub(crate) fn create_tables(write: &WriteTransaction) -> TxResult<()> {
    write.open_table(COUNTERS)?;
    write.open_table(AGENTS.definition)?;
    write.open_table(TOMBSTONES.definition)?;
    write.open_table(AGENT_NAMES)?;
    write.open_table(PERSONAS.definition)?;
    write.open_table(PICTURES)?;
    write.open_table(ROOMS.definition)?;
    write.open_table(OWNER_ROOMS)?;
    write.open_table(ROOM_NAMES)?;
    write.open_table(DIRECT_ROOMS)?;
    write.open_table(ACTIVITIES.definition)?;
    write.open_table(MEMBERS.definition)?;
    write.open_table(MEMBER_PLACES)?;
    write.open_table(SESSIONS)?;
    write.open_table(MESSAGES.definition)?;
    write.open_table(IMAGES.definition)?;
    write.open_table(IMAGE_BYTES)?;
    write.open_table(REMOVALS)?;
    write.open_table(SENT.definition)?;
    write.open_table(AUTHORED)?;
    write.open_table(ANSWER_COUNTS)?;
    write.open_table(READ_POSITIONS.definition)?;
    write.open_table(MEMORIES.definition)?;
    write.open_table(USAGE.definition)?;
    Ok(())
}

/// Returns the number stored with a key.
pub(crate) fn number<K: Key + 'static>(
    tables: &impl Tables,
    definition: NumberTable<K>,
    key: K::SelfType<'_>,
) -> TxResult<Option<i64>> {
    get_entry(tables, definition, key, |number| number)
}

/// Adds 1 to the number stored with a key, which is 0 at first, and returns the sum.
pub(crate) fn increment<K: Key + 'static>(
    write: &WriteTransaction,
    definition: NumberTable<K>,
    key: K::SelfType<'_>,
) -> TxResult<i64> {
    let mut table = write.open_table(definition)?;
    let sum = table.get(&key)?.map_or(0, |number| number.value()) + 1;
    table.insert(&key, sum)?;
    Ok(sum)
}

/// Returns the range of all ids.
pub(crate) fn all_ids() -> Span<i64> {
    (Unbounded, Unbounded)
}

/// Returns the range of ids above `after`.
pub(crate) fn ids_above(after: i64) -> Span<i64> {
    (Excluded(after), Unbounded)
}

/// Returns the range of all keys that begin with a room.
pub(crate) fn all_in(room: RoomId) -> Span<(i64, i64)> {
    (Included((room.0, i64::MIN)), Included((room.0, i64::MAX)))
}

/// Returns the range of a room's messages above an id.
pub(crate) fn above(room: RoomId, after: MessageId) -> Span<(i64, i64)> {
    (Excluded((room.0, after.0)), Included((room.0, i64::MAX)))
}

/// Returns the range of a room's messages below an id.
pub(crate) fn below(room: RoomId, before: MessageId) -> Span<(i64, i64)> {
    (Included((room.0, i64::MIN)), Excluded((room.0, before.0)))
}

/// Returns the range of an agent's messages in a room above an id. All ids are above 0.
pub(crate) fn authored(room: RoomId, author: AgentId, after: MessageId) -> Span<(i64, i64, i64)> {
    let key = |id| (room.0, author.0, id);
    (Excluded(key(after.0)), Included(key(i64::MAX)))
}

/// Returns the range of all users in a room. A user id has no character above `z`.
pub(crate) fn users_in(room: RoomId) -> Span<(i64, &'static str)> {
    (Included((room.0, "")), Excluded((room.0, "~")))
}

/// Returns the range of all agents that may remember something of an owner's rooms.
pub(crate) fn agents_of(owner: &UserId) -> Span<(&str, i64)> {
    let key = |agent| (owner.as_str(), agent);
    (Included(key(i64::MIN)), Included(key(i64::MAX)))
}

/// Returns the range of an owner's rooms above an id. All ids are above 0.
pub(crate) fn owned(owner: &UserId, after: RoomId) -> Span<(&str, i64)> {
    let key = |id| (owner.as_str(), id);
    (Excluded(key(after.0)), Included(key(i64::MAX)))
}

/// Removes the messages of a room, and all rows that are derived from them. Returns the number of
/// messages.
pub(crate) fn remove_log(write: &WriteTransaction, room: RoomId) -> TxResult<u64> {
    let authors = (
        Included((room.0, i64::MIN, i64::MIN)),
        Included((room.0, i64::MAX, i64::MAX)),
    );
    remove_span(write, AUTHORED, authors)?;
    remove_span(write, ANSWER_COUNTS, all_in(room))?;
    remove_span(write, IMAGES.definition, all_in(room))?;
    remove_span(write, IMAGE_BYTES, all_in(room))?;
    remove_span(write, REMOVALS, all_in(room))?;
    remove_span(write, MESSAGES.definition, all_in(room))
}
