//! Sample rooms, each with an agent and messages. The servers return their data.

use app::App;
use domain::{
    AgentConfig, AgentName, MessageId, NewAgent, NewMessage, NewRoom, RoomId, RoomName, UserId,
};

/// The number of messages in each room.
const MESSAGES: usize = 60;

/// A room with an agent and messages.
pub(super) struct SampleRoom {
    pub(super) id: RoomId,
    /// The ids of the room's messages, newest first.
    pub(super) newest: Vec<MessageId>,
}

impl SampleRoom {
    /// Creates the room, its agent and its messages.
    pub(super) async fn create(app: &App, number: usize) -> Self {
        let ports = &app.cache.repositories;
        let room = NewRoom {
            owner: UserId::admin(),
            name: RoomName::parse(&format!("room {number}")).expect("the room's name is valid"),
            max_interactions: None,
        };
        let room = ports.rooms.create(room).await;
        let id = room.expect("the store accepts the room").id;
        let agent = NewAgent {
            name: AgentName::parse(&format!("Agent {number}")).expect("the agent's name is valid"),
            group: None,
            config: AgentConfig::default(),
            picture: None,
        };
        let agent = ports.agents.create(agent).await;
        let agent = agent.expect("the store accepts the agent").id;
        let added = ports.rooms.add_member(id, agent).await;
        added.expect("the store accepts the member");
        let mut newest = Vec::new();
        for number in 0..MESSAGES {
            let text = format!(
                "message {number}: {}",
                "some words of a usual message, ".repeat(8)
            );
            let message = NewMessage::from_agent(id, agent, text);
            let message = ports.messages.append(message).await;
            newest.insert(0, message.expect("the store accepts the message").id);
        }
        Self { id, newest }
    }
}
