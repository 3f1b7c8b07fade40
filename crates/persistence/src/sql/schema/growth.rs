//! Version 2 of the schema: counts, marks and indexes. With them, the time of a read or a write
//! does not grow with the length of a room or with the number of rooms.

/// The statements that change version 1 to version 2.
///
/// * `answer_counts` contains the number of messages of each agent in a room since the room's last
///   clear. `rooms.message_count` contains the number of all messages since then. Each append
///   updates both, so that no read counts messages.
/// * `rooms.cleared_seq` and `rooms.cleared_id` are marks. Messages with sequence numbers and ids
///   up to the marks count as deleted. Their rows remain until the purge deletes them, and
///   `rooms.has_garbage` is true until then.
/// * `rooms.deleted_at` makes a room a tombstone. The purge deletes the tombstone after the room's
///   messages.
pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE answer_counts (
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        agent_id BIGINT NOT NULL REFERENCES agents (id),
        answers BIGINT NOT NULL,
        PRIMARY KEY (room_id, agent_id))",
    "INSERT INTO answer_counts (room_id, agent_id, answers)
        SELECT room_id, agent_id, COUNT(*) FROM messages
        WHERE agent_id IS NOT NULL GROUP BY room_id, agent_id",
    "ALTER TABLE rooms ADD COLUMN message_count BIGINT NOT NULL DEFAULT 0",
    "UPDATE rooms SET message_count =
        (SELECT COUNT(*) FROM messages WHERE messages.room_id = rooms.id)",
    "ALTER TABLE rooms ADD COLUMN cleared_seq BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE rooms ADD COLUMN cleared_id BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE rooms ADD COLUMN has_garbage BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE rooms ADD COLUMN deleted_at BIGINT",
    "CREATE INDEX rooms_with_garbage ON rooms (id) WHERE has_garbage",
    "DROP INDEX rooms_owner_name",
    "CREATE UNIQUE INDEX rooms_owner_name ON rooms (owner, name)
        WHERE direct_agent_id IS NULL AND deleted_at IS NULL",
    "DROP INDEX rooms_direct",
    "CREATE UNIQUE INDEX rooms_direct ON rooms (owner, direct_agent_id)
        WHERE direct_agent_id IS NOT NULL AND deleted_at IS NULL",
    "CREATE INDEX rooms_by_owner ON rooms (owner, id) WHERE deleted_at IS NULL",
];
