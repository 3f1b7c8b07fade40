//! Version 2 of the schema. Because of its table and its index, the time of reads does not grow
//! with the length of a room or with the number of rooms.

/// The statements that change version 1 to version 2.
///
/// `answer_counts` contains the number of messages of each agent in a room since the room's last
/// clear. Each append of an agent's message updates the number, so that no read counts messages.
pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE answer_counts (
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        agent_id BIGINT NOT NULL REFERENCES agents (id),
        answers BIGINT NOT NULL,
        PRIMARY KEY (room_id, agent_id))",
    "INSERT INTO answer_counts (room_id, agent_id, answers)
        SELECT room_id, agent_id, COUNT(*) FROM messages
        WHERE agent_id IS NOT NULL GROUP BY room_id, agent_id",
    "CREATE INDEX rooms_by_owner ON rooms (owner, id)",
];
