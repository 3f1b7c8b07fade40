//! The cached data types: one row per region.

use std::time::Duration;

use cache_core::Policy;

/// Which column of the table applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The mission's TTLs.
    #[default]
    Classic,
    /// Longer TTLs, which are safe because a TTL bounds memory and outside edits, not correctness.
    Coherent,
}

/// One cached data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The region's name, with which its printed keys begin.
    pub region: &'static str,
    /// What stands behind the colon of a printed key.
    pub key: &'static str,
    /// TTL in seconds in [`Preset::Classic`].
    pub classic: u64,
    /// TTL in seconds in [`Preset::Coherent`].
    pub coherent: u64,
    /// Most entries, or bytes where `unit` says so.
    pub capacity: u64,
    /// What the capacity counts.
    pub unit: &'static str,
    /// The TTLs in seconds that suit the data: shorter ones cache nothing, longer ones keep outside edits hidden.
    pub suits: (u64, u64),
    /// What is kept.
    pub data: &'static str,
}

#[rustfmt::skip] // One row a line.
pub(crate) const POLICIES: [Row; 13] = [
    row("agent_config",  "agent_id",     300, 900,      10_000, "entries", (10, 3_600), "an agent's persona"),
    row("agent_obj",     "agent_id",     300, 900,      10_000, "entries", (10, 3_600), "an agent's identity or tombstone"),
    row("agent_list",    "all",          300, 900,          16, "entries", (10, 3_600), "ids of all agents"),
    row("room_obj",      "room_id",       30, 300,     100_000, "entries", ( 5, 3_600), "a room"),
    row("room_list",     "all",           30, 300,          16, "entries", ( 5, 3_600), "ids of all rooms"),
    row("rooms_of",      "user_id",       30, 300,      10_000, "entries", ( 5, 3_600), "ids of an owner's rooms"),
    row("room_agents",   "room_id",       60, 900,     100_000, "entries", ( 5, 3_600), "who is in a room"),
    row("room_activity", "room_id",        5, 300,     100_000, "entries", ( 1, 3_600), "last place and activity of a room"),
    row("room_messages", "room_id",        5, 300, 268_435_456, "bytes",   ( 1, 3_600), "a room's newest messages"),
    row("room_answers",  "room_id",        5, 300,     100_000, "entries", ( 1, 3_600), "how often agents answered in a room"),
    row("room_sessions", "room_id",       60, 900,     100_000, "entries", ( 5, 3_600), "the agents' sessions in a room"),
    row("message_image", "room_id/message_id", 300, 900, 67_108_864, "bytes", (10, 3_600), "a message's image"),
    row("read_state",    "user_id/room_id", 30, 900,   100_000, "entries", ( 1, 3_600), "how far a user has read a room"),
];

#[expect(clippy::too_many_arguments, reason = "the columns of the table")]
const fn row(
    region: &'static str,
    key: &'static str,
    classic: u64,
    coherent: u64,
    capacity: u64,
    unit: &'static str,
    suits: (u64, u64),
    data: &'static str,
) -> Row {
    Row {
        region,
        key,
        classic,
        coherent,
        capacity,
        unit,
        suits,
        data,
    }
}

/// All rows, as [`crate::regions_table`] prints them.
pub fn rows() -> &'static [Row] {
    &POLICIES
}

impl Row {
    /// The region's TTL under `preset`.
    pub fn ttl(&self, preset: Preset) -> Duration {
        Duration::from_secs(match preset {
            Preset::Classic => self.classic,
            Preset::Coherent => self.coherent,
        })
    }

    pub(crate) fn policy(&self, preset: Preset) -> Policy {
        let policy = Policy::new(self.ttl(preset), self.capacity);
        match self.region {
            // Which messages have an image is known from them; who asks for others is not remembered.
            "message_image" => Policy {
                absence_ttl: Duration::ZERO,
                ..policy
            },
            _ => policy,
        }
    }
}
