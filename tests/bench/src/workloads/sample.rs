//! The rooms and agents of all workloads.

use domain::{
    AgentConfig, AgentId, AgentName, NewAgent, NewMessage, NewRoom, Repositories, RoomId, RoomName,
    UserId,
};

/// The number of rooms.
pub(super) const ROOMS: usize = 20;
/// The number of agents in each room. No agent is in two rooms.
pub(super) const AGENTS: usize = 5;
/// The number of messages in each room at the beginning.
const MESSAGES: usize = 50;

/// Rooms with agents and messages.
#[derive(Clone)]
pub(super) struct SampleRooms {
    pub(super) rooms: Vec<RoomId>,
    /// All agents. The first [`AGENTS`] agents are in the first room, the next ones in the second
    /// room, and so on.
    pub(super) agents: Vec<AgentId>,
}

impl SampleRooms {
    /// Creates the rooms and agents on an empty store.
    pub(super) async fn create(store: &Repositories) -> Self {
        let mut sample = Self {
            rooms: Vec::new(),
            agents: Vec::new(),
        };
        for number in 0..AGENTS * ROOMS {
            let agent = store.agents.create(new_agent(number)).await;
            let agent = agent.expect("the store accepts the agent");
            sample.agents.push(agent.id);
        }
        for number in 0..ROOMS {
            let room = NewRoom {
                owner: UserId::admin(),
                name: RoomName::parse(&format!("room {number}")).expect("the room's name is valid"),
                max_interactions: None,
            };
            let room = store.rooms.create(room).await;
            sample
                .rooms
                .push(room.expect("the store accepts the room").id);
            sample.fill_room(store, number).await;
        }
        sample
    }

    /// Adds the agents and messages of a room.
    async fn fill_room(&self, store: &Repositories, room_number: usize) {
        let room = self.rooms[room_number];
        for number in 0..AGENTS {
            let agent = self.agent(room_number, number);
            let added = store.rooms.add_member(room, agent).await;
            added.expect("the store accepts the member");
        }
        for number in 0..MESSAGES {
            let message = NewMessage::from_agent(
                room,
                self.agent(room_number, number % AGENTS),
                format!("message {number}, as people write them"),
            );
            let message = store.messages.append(message).await;
            message.expect("the store accepts the message");
        }
    }

    /// Returns the id of an agent. `room_number` and `number` count from 0; `number` is the agent's
    /// position in the room.
    pub(super) fn agent(&self, room_number: usize, number: usize) -> AgentId {
        self.agents[room_number * AGENTS + number]
    }
}

fn new_agent(number: usize) -> NewAgent {
    let characteristics =
        "Speaks slowly, and of small things. Laughs when it rains. Never asks twice.\n";
    NewAgent {
        name: AgentName::parse(&format!("Agent {number}")).expect("the agent's name is valid"),
        group: None,
        config: AgentConfig {
            in_a_nutshell: "Mends umbrellas at night. Likes the rain.".into(),
            characteristics: characteristics.repeat(10),
            ..AgentConfig::default()
        },
        picture: None,
    }
}
