//! Sample rows: arguments for tests that create rows, and results for mocks.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    Agent, AgentConfig, AgentName, Message, MessageId, NewAgent, NewRoom, Repositories, Role, Room,
    RoomChange, RoomId, RoomName, Seq, Timestamp, UserId,
};

/// A PNG of one pixel, in Base64.
pub const PIXEL_PNG: &str = concat!(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9",
    "awAAAABJRU5ErkJggg=="
);

/// Returns a user's id. Panics if it is invalid.
pub fn user(id: &str) -> UserId {
    UserId::parse(id).expect("the test names a valid user")
}

/// Returns a room's name. Panics if it is invalid.
pub fn room_name(name: &str) -> RoomName {
    RoomName::parse(name).expect("the test names a valid room")
}

/// Returns a new room with this name and owner, without a limit on its number of answers.
pub fn new_room(owner: UserId, name: &str) -> NewRoom {
    NewRoom {
        owner,
        name: room_name(name),
        max_interactions: None,
    }
}

/// Returns a change that sets a room's name.
pub fn rename(name: &str) -> RoomChange {
    RoomChange {
        name: Some(room_name(name)),
        ..RoomChange::default()
    }
}

/// Returns a new agent with this name, without a group, a picture or a persona.
pub fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: AgentName::parse(name).expect("the test names a valid agent"),
        group: None,
        config: AgentConfig::default(),
        picture: None,
    }
}

/// Creates a room that the guest `guest-1` owns.
pub async fn create_room(repositories: &Repositories, name: &str) -> Arc<Room> {
    let new = new_room(user("guest-1"), name);
    let created = repositories.rooms.create(new).await;
    created.unwrap_or_else(|error| panic!("room {name}: {error}"))
}

/// Creates an agent without a persona.
pub async fn create_agent(repositories: &Repositories, name: &str) -> Arc<Agent> {
    let created = repositories.agents.create(new_agent(name)).await;
    created.unwrap_or_else(|error| panic!("agent {name}: {error}"))
}

/// Returns a room's whole log as texts and sequence numbers, oldest first. Panics if ids and
/// sequence numbers are not in the same order.
pub async fn texts_and_seqs(repositories: &Repositories, room: RoomId) -> Vec<(String, i64)> {
    let log = repositories
        .messages
        .since(room, MessageId(0), usize::MAX)
        .await
        .unwrap_or_else(|error| panic!("messages of room {room}: {error}"));
    let ids: BTreeSet<_> = log.iter().map(|message| message.id).collect();
    assert!(
        log.iter().map(|message| message.id).eq(ids),
        "ids must rise with the sequence numbers"
    );
    log.iter()
        .map(|message| (message.content.clone(), message.seq.0))
        .collect()
}

/// Returns a user's message whose id and sequence number are both `id`.
pub fn user_message(room: RoomId, id: i64) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId(id),
        room,
        seq: Seq(id),
        author: None,
        content: "a message of usual length, as people write them in a chat".into(),
        role: Role::User,
        participant_type: None,
        participant_name: None,
        thinking: None,
        anthropic_calls: None,
        timestamp: Timestamp::default(),
        image_media_type: None,
        interrupted: false,
    })
}
