//! The ports: how entities are read and written, whatever stands behind.
//!
//! One method is one read in one snapshot, or one atomic change. Reads answer `Missing` never: what is not there is
//! `None` or left out. Writes return the stored row; they answer [`Error::Missing`](crate::Error::Missing) when what
//! they change is not there, [`Error::Conflict`](crate::Error::Conflict) when something else holds what must be unique,
//! and [`Error::Unavailable`](crate::Error::Unavailable), which says whether the write may have happened.
//! Each sentence with MUST is a law in `contract`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentId, AnswerCounts, ConfigFile,
    ConfigProblem, Image, LogEnd, Member, Message, MessageId, NewAgent, NewMessage, NewRoom, Page,
    ReadPosition, RecentEvent, Result, Room, RoomChange, RoomId, Session, UserId,
};

/// Who the agents are.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Agents: Send + Sync {
    /// The living agent; a deleted one MUST be `None`.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>>;
    /// Those of `ids` that ever were, by rising id, each once; tombstones MUST be among them.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>>;
    /// All living agents; MUST be by rising id.
    async fn list(&self) -> Result<Vec<Arc<Agent>>>;
    /// Makes an agent and its persona in one step. A living agent's name MUST be a conflict, a deleted one's MUST NOT.
    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>>;
    /// Makes an agent of files that the store holds already, by their `path` as in [`AgentConfigs::list`]. A path that
    /// is not there MUST be missing, one that an agent has MUST be a conflict, one that leads outside MUST be invalid.
    async fn adopt(&self, path: &str) -> Result<Arc<Agent>>;
    /// Changes identity and persona in one step: on a conflict nothing MUST have changed. Raises the version.
    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>>;
    /// Leaves a tombstone; its memberships and messages MUST stay. Deleting it again is missing.
    async fn delete(&self, id: AgentId) -> Result<()>;
}

/// What the agents are like: their files.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AgentConfigs: Send + Sync {
    /// The persona of a living agent; `None` for one that is deleted or never was.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>>;
    /// The personas of those of `ids` that live, by rising id, each once.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>>;
    /// The same for who found them before: a store that can tell cheaply that what it read last is still there need not
    /// read it again. What it gives MUST be what [`AgentConfigs::find_many`] would give.
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        self.find_many(ids).await
    }
    /// The bytes of a living agent's picture, as they were given; `None` for an agent without one, or that is deleted.
    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>>;
    /// Replaces the persona, all but the picture, which MUST stay.
    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>>;
    /// Adds one recent event behind the others, which MUST stay.
    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>>;
    /// Reads the files anew. Broken files are invalid, and the last good persona MUST stay.
    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>>;
    /// The personas that the store holds, whether an agent has them or not, by name.
    async fn list(&self) -> Result<Vec<ConfigFile>>;
    /// Those of `ids` whose files were changed past these ports since they were last read or written through them, each
    /// told once; what was written through them MUST NOT be among them. May take several calls to get round many.
    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>>;
    /// Waits until files were changed past these ports, and tells whose; MUST NOT tell of what was written through them.
    /// Never answers where files cannot be changed otherwise.
    async fn watch(&self) -> Result<Vec<AgentId>>;
    /// What is wrong with files now: of agents, whose last good persona is in force, and of what no agent could be made of.
    /// Nothing MUST be told of files that are well.
    async fn problems(&self) -> Result<Vec<ConfigProblem>>;
}

/// Rooms, and who is in them.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Rooms: Send + Sync {
    /// The room, which says who may enter ([`Room::admits`]).
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>>;
    /// Those of `ids` that are there, by rising id, each once.
    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>>;
    /// All rooms; MUST be by rising id.
    async fn list(&self) -> Result<Vec<Arc<Room>>>;
    /// The rooms that `owner` made and no others; MUST be by rising id.
    async fn list_by_owner(&self, owner: &UserId) -> Result<Vec<Arc<Room>>>;
    /// The direct room of `owner` and `agent`, if it was made.
    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>>;
    /// Makes a room. A name that this owner has already MUST be a conflict, one that another owner has MUST NOT.
    async fn create(&self, new: NewRoom) -> Result<Arc<Room>>;
    /// Gets or makes the direct room `Direct: NAME` with the agent in it; there MUST be one for an owner and an agent,
    /// whatever its name. A deleted agent is missing.
    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>>;
    /// Changes what `change` names, and MUST leave the rest. Raises the version.
    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>>;
    /// Deletes the room with members, messages, positions and sessions. Its id MUST NOT come back.
    async fn delete(&self, id: RoomId) -> Result<()>;
    /// Who is in the room, by the time of joining, deleted agents among them; empty for an unknown room.
    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>>;
    /// Adds an agent; twice MUST be the same as once. In a room that has messages, the system message
    /// `NAME joined the chat` MUST be appended in the same step. A deleted agent is missing.
    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added>;
    /// Takes an agent out, a deleted one too; one that is not in is missing.
    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()>;
    /// What changes of the room with each message.
    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>>;
    /// The same for those of `rooms` that are there, by rising id, each once.
    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>>;
}

/// What was said.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Messages: Send + Sync {
    /// The newest `limit` messages below `before`, or of all; MUST be oldest first; empty for an unknown room.
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page>;
    /// The *oldest* `limit` messages above `after`; MUST be oldest first. Who passes the last id it got misses nothing.
    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page>;
    /// The oldest `limit` messages above `after` that one of `authors` said; MUST be oldest first.
    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// What `agent` has not answered: the newest `limit` messages after its own last one or, before its first, after it
    /// joined; MUST be oldest first; empty for an agent that is not in the room.
    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// How many messages of each agent stand in the room; `None` for an unknown room.
    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>>;
    /// The log's last place and its newest `limit` messages, in one snapshot; MUST be oldest first; `None` for an unknown
    /// room.
    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>>;
    /// The images of those of `messages` in `room` that have one, by rising id, each once.
    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>>;
    /// Stores a message at the log's end: its place MUST be the last one plus 1, and the room's activity MUST follow in
    /// the same step.
    async fn append(&self, new: NewMessage) -> Result<Arc<Message>>;
    /// Deletes the room's messages and answers how many; takes a place in the log, and ids MUST NOT come back.
    async fn clear(&self, room: RoomId) -> Result<u64>;
}

/// How far users have read.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ReadPositions: Send + Sync {
    /// Where `user` stands in `room`, if ever marked.
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>>;
    /// The same for those of `rooms` that `user` marked, by rising room, each once.
    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>>;
    /// Marks everything in the room as read by `user`, and nothing for anybody else.
    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>>;
}

/// The agents' sessions with their provider.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The sessions in a room, by rising agent; empty for an unknown room.
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>>;
    /// Sets the session of one agent that is in the room, and MUST leave those of the others.
    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()>;
}

/// How a write of unknown outcome is settled.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Settle: Send + Sync {
    /// Returns when no write that was begun before the call, and not reported as ended, can still land.
    async fn settle(&self) -> Result<()>;
}

/// Whether the store answers.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Health: Send + Sync {
    /// `AnswerCounts` if the store does. `Unavailable` also when another process may write to it.
    async fn check(&self) -> Result<()>;
}

/// All ports of one store. A backend makes one; a decorator takes one and returns one.
#[derive(Clone)]
#[expect(missing_docs, reason = "each is the port of the same name")]
pub struct Repositories {
    pub agents: Arc<dyn Agents>,
    pub configs: Arc<dyn AgentConfigs>,
    pub rooms: Arc<dyn Rooms>,
    pub messages: Arc<dyn Messages>,
    pub read_positions: Arc<dyn ReadPositions>,
    pub sessions: Arc<dyn Sessions>,
    pub settle: Arc<dyn Settle>,
    pub health: Arc<dyn Health>,
}

impl std::fmt::Debug for Repositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repositories").finish_non_exhaustive()
    }
}
