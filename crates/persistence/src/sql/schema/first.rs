//! Version 1 of the schema.

/// The statements that create version 1. `{id}` is the backend's definition of an id column.
///
/// Times are in microseconds since 1970, UTC. They are only displayed: messages are ordered by
/// `seq`.
pub(super) const STATEMENTS: &[&str] = &[
    "CREATE TABLE agents (
        id {id},
        name TEXT NOT NULL,
        group_name TEXT,
        config_file TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        deleted_at BIGINT,
        version BIGINT NOT NULL DEFAULT 1,
        snapshot TEXT NOT NULL,
        snapshot_version BIGINT NOT NULL DEFAULT 1)",
    "CREATE UNIQUE INDEX agents_living_name ON agents (name) WHERE deleted_at IS NULL",
    "CREATE TABLE rooms (
        id {id},
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        direct_agent_id BIGINT REFERENCES agents (id),
        max_interactions BIGINT,
        is_paused BOOLEAN NOT NULL DEFAULT FALSE,
        finished_seq BIGINT,
        last_error TEXT,
        created_at BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        last_seq BIGINT NOT NULL DEFAULT 0,
        last_message_seq BIGINT NOT NULL DEFAULT 0,
        last_user_seq BIGINT NOT NULL DEFAULT 0,
        last_activity_at BIGINT)",
    "CREATE UNIQUE INDEX rooms_owner_name ON rooms (owner, name) WHERE direct_agent_id IS NULL",
    "CREATE UNIQUE INDEX rooms_direct ON rooms (owner, direct_agent_id)
        WHERE direct_agent_id IS NOT NULL",
    "CREATE TABLE members (
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        agent_id BIGINT NOT NULL REFERENCES agents (id),
        joined_after_seq BIGINT NOT NULL,
        joined_at BIGINT NOT NULL,
        place BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        PRIMARY KEY (room_id, agent_id))",
    "CREATE TABLE messages (
        id {id},
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        seq BIGINT NOT NULL,
        agent_id BIGINT REFERENCES agents (id),
        content TEXT NOT NULL,
        role TEXT NOT NULL,
        participant_type TEXT,
        participant_name TEXT,
        thinking TEXT,
        anthropic_calls TEXT,
        timestamp BIGINT NOT NULL,
        image_media_type TEXT,
        interrupted BOOLEAN NOT NULL DEFAULT FALSE)",
    "CREATE UNIQUE INDEX messages_seq ON messages (room_id, seq)",
    "CREATE INDEX messages_id ON messages (room_id, id)",
    "CREATE INDEX messages_author ON messages (room_id, agent_id, id)",
    "CREATE TABLE images (
        message_id BIGINT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
        data TEXT NOT NULL)",
    "CREATE TABLE read_positions (
        user_id TEXT NOT NULL,
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        read_seq BIGINT NOT NULL,
        read_at BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        PRIMARY KEY (user_id, room_id))",
    "CREATE INDEX read_positions_room ON read_positions (room_id)",
    "CREATE TABLE sessions (
        room_id BIGINT NOT NULL,
        agent_id BIGINT NOT NULL,
        session_id TEXT NOT NULL,
        PRIMARY KEY (room_id, agent_id),
        FOREIGN KEY (room_id, agent_id) REFERENCES members (room_id, agent_id) ON DELETE CASCADE)",
];
