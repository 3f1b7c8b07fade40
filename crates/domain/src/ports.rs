//! The ports: traits that read and write entities and do not depend on a particular store.
//!
//! Each method is one read in one snapshot, or one atomic change. Unless a method's documentation
//! says otherwise, these rules hold:
//!
//! * **Reads** never fail with [`Error::Missing`](crate::Error::Missing). A missing row is `None`
//!   or is left out, and an unknown room or user has an empty list. Batch reads ignore the order of
//!   the ids and duplicate ids.
//! * **Writes** return the stored row. They fail with [`Error::Missing`](crate::Error::Missing) if
//!   the row that they change does not exist, and with [`Error::Conflict`](crate::Error::Conflict)
//!   if another row holds a value that must be unique. A refused write has changed nothing.
//! * **Both** fail with [`Error::Unavailable`](crate::Error::Unavailable) if the store does not
//!   respond. The error says if the write may have happened. A caller that drops a write does not
//!   know if it happened, either; see [`Settle`].
//!
//! Each sentence with MUST is a law: a test in the crate `contract` that any backend can run. To
//! add a method, add it here and to the table in `contract/src/methods.rs`. The compiler and the
//! tests then report every other place that needs the method.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Activity, Added, Agent, AgentChange, AgentConfig, AgentId, AnswerCounts, ConfigFile,
    ConfigProblem, Image, LogEnd, Member, Message, MessageId, NewAgent, NewMessage, NewRoom, Page,
    ReadPosition, RecentEvent, Result, Room, RoomChange, RoomId, Session, UserId,
};

/// The agents' identities and tombstones.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, NewAgent};
///
/// let agents = contract::memory::repositories().agents;
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// let ada = agents.create(new).await?;
/// agents.delete(ada.id).await?;
/// assert_eq!(agents.find(ada.id).await?, None);
/// // The tombstone still says who spoke.
/// assert_eq!(agents.find_many(&[ada.id]).await?[0].name.as_str(), "Ada");
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Agents: Send + Sync {
    /// Returns the living agent with this id. A deleted agent MUST be `None`.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>>;
    /// Returns the agents with these ids, in ascending order and without duplicates. Tombstones
    /// MUST be in the result, so that a log can show the authors of old messages.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>>;
    /// Returns all living agents. They MUST be in ascending order of ids.
    async fn list(&self) -> Result<Vec<Arc<Agent>>>;
    /// Creates an agent and its persona in one step, and returns the agent. A name that
    /// [collides](crate::AgentName::collides_with) with a living agent's name MUST fail with
    /// `Conflict`; the name of a deleted agent MUST NOT.
    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>>;
    /// Creates an agent from files that the store already holds, and returns it.
    ///
    /// `path` is one of the paths that [`AgentConfigs::list`] returns. A path without files MUST
    /// fail with `Missing`, the path of an agent with `Conflict`, and a path that leads outside the
    /// agents' folder with `Invalid`. Files that are not valid fail with `Invalid`, too.
    async fn adopt(&self, path: &str) -> Result<Arc<Agent>>;
    /// Changes identity and persona in one step, increments the version, and returns the agent.
    ///
    /// After a conflict nothing MUST have changed. Fails with `Missing` for a deleted agent.
    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>>;
    /// Replaces the agent by a tombstone. Its memberships and messages MUST stay. Its name becomes
    /// free; its id is never reused. Fails with `Missing` for a deleted agent.
    async fn delete(&self, id: AgentId) -> Result<()>;
}

/// The agents' personas, and the files that hold them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, NewAgent, RecentEvent};
///
/// let ports = contract::memory::repositories();
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// let ada = ports.agents.create(new).await?.id;
/// let event = RecentEvent { date: None, text: "It rained.".into() };
/// let persona = ports.configs.append_memory(ada, event).await?;
/// assert_eq!(persona.recent_events.len(), 1);
/// assert_eq!(ports.configs.find(ada).await?, Some(persona));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AgentConfigs: Send + Sync {
    /// Returns the persona of a living agent; `None` for a deleted or unknown agent.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>>;
    /// Returns the personas of the living agents with these ids, in ascending order of ids and
    /// without duplicates.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>>;
    /// Returns personas that the caller has read before, for example to refresh a cache.
    ///
    /// A store may skip reading if it can check cheaply that its last read is still current. The
    /// result MUST be the one that [`AgentConfigs::find_many`] would return.
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        self.find_many(ids).await
    }
    /// Returns a living agent's picture, byte for byte as it was stored. Returns `None` if the
    /// agent is deleted or unknown, or has no picture.
    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>>;
    /// Replaces the persona and returns the stored one. The picture MUST stay as it is.
    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>>;
    /// Appends a recent event to the persona and returns the stored persona. Earlier events MUST
    /// stay, except the oldest ones beyond [`MAX_RECENT_EVENTS`](crate::MAX_RECENT_EVENTS).
    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>>;
    /// Reads the agent's files again and returns the persona. If the files are broken, the call
    /// fails with `Invalid` and the last valid persona MUST stay.
    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>>;
    /// Returns the locations of all personas in the store, in ascending order of names. A persona
    /// without an agent can be adopted with [`Agents::adopt`].
    async fn list(&self) -> Result<Vec<ConfigFile>>;
    /// Returns the agents in `ids` whose files another program has changed since these ports last
    /// read or wrote the files.
    ///
    /// Each change is returned once. Writes through these ports MUST NOT be in the result. If `ids`
    /// is long, a store may check some agents in this call and the others in later calls.
    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>>;
    /// Waits until another program changes files, and returns the agents whose files changed.
    ///
    /// Writes through these ports MUST NOT be in the result. The call never returns for a store
    /// that no other program can change.
    async fn watch(&self) -> Result<Vec<AgentId>>;
    /// Returns the files that are invalid now. An agent with such files keeps its last valid
    /// persona; files without an agent cannot be adopted. Valid files MUST NOT be in the result.
    async fn problems(&self) -> Result<Vec<ConfigProblem>>;
}

/// Rooms and their members.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{Error, NewRoom, RoomName, UserId};
///
/// let rooms = contract::memory::repositories().rooms;
/// let new = NewRoom {
///     owner: UserId::parse("guest-1")?,
///     name: RoomName::parse("tea")?,
///     max_interactions: None,
/// };
/// let room = rooms.create(new.clone()).await?;
/// assert_eq!(rooms.list_by_owner(&room.owner).await?, [room]);
/// assert!(matches!(rooms.create(new).await, Err(Error::Conflict(_))));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Rooms: Send + Sync {
    /// Returns the room. Check access with [`Room::admits`].
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>>;
    /// Returns the rooms with these ids, in ascending order of ids and without duplicates.
    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>>;
    /// Returns all rooms, including direct rooms. They MUST be in ascending order of ids.
    async fn list(&self) -> Result<Vec<Arc<Room>>>;
    /// Returns the rooms of this owner and no others, including direct rooms. They MUST be in
    /// ascending order of ids.
    async fn list_by_owner(&self, owner: &UserId) -> Result<Vec<Arc<Room>>>;
    /// Returns the direct room of this owner and this agent, whatever its name.
    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>>;
    /// Creates a room and returns it.
    ///
    /// The name of another room of this owner MUST fail with `Conflict`; the name of another
    /// owner's room MUST NOT. Names of direct rooms do not count.
    async fn create(&self, new: NewRoom) -> Result<Arc<Room>>;
    /// Returns the direct room of this owner and this agent, and creates the room if it is missing.
    /// A new direct room is called `Direct: NAME` and has the agent as a member.
    ///
    /// There MUST be at most one direct room for an owner and an agent, whatever its name. Fails
    /// with `Missing` for a deleted agent, even if there is a direct room with the agent.
    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>>;
    /// Changes the fields that `change` names, increments the version, and returns the room. The
    /// other fields MUST stay, and after a conflict nothing MUST have changed.
    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>>;
    /// Deletes the room with its members, messages, read positions and sessions. Its id MUST NOT be
    /// reused.
    async fn delete(&self, id: RoomId) -> Result<()>;
    /// Returns the members in the order of joining, including deleted agents.
    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>>;
    /// Adds an agent to a room. Returns the membership, and the announcement if there is one.
    ///
    /// Adding a member again MUST change nothing. A room with messages also gets the system message
    /// `NAME joined the chat`, which MUST be appended in the same step. Fails with `Missing` for a
    /// deleted agent.
    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added>;
    /// Removes an agent, living or deleted, and its session. Fails with `Missing` for an agent that
    /// is not a member.
    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()>;
    /// Returns the part of the room that changes with each message; `None` for an unknown room.
    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>>;
    /// Returns the activities of these rooms, in ascending order of ids and without duplicates.
    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>>;
}

/// The rooms' logs.
///
/// A limit counts messages; 0 returns none. `before` and `after` may be ids of other rooms.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{MessageId, NewMessage, NewRoom, RoomName, UserId};
///
/// let ports = contract::memory::repositories();
/// let new = NewRoom {
///     owner: UserId::admin(),
///     name: RoomName::parse("tea")?,
///     max_interactions: None,
/// };
/// let room = ports.rooms.create(new).await?.id;
/// let first = ports.messages.append(NewMessage::from_user(room, "hello")).await?;
/// let second = ports.messages.append(NewMessage::from_user(room, "is anyone here?")).await?;
/// // A poller passes the last id that it received.
/// assert_eq!(ports.messages.since(room, first.id, 10).await?[..], [second]);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Messages: Send + Sync {
    /// Returns the newest `limit` messages with ids below `before`, or the newest of all if
    /// `before` is `None`. They MUST be oldest first.
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page>;
    /// Returns the **oldest** `limit` messages with ids above `after`. They MUST be oldest first. A
    /// poller that passes the last id that it received misses no message, whatever its backlog.
    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page>;
    /// Returns the oldest `limit` messages of these authors with ids above `after`. They MUST be
    /// oldest first.
    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// Returns the newest `limit` messages that `agent` has not answered. They MUST be oldest
    /// first.
    ///
    /// These are the messages after the agent's last message, and only those after the agent
    /// joined. The result is empty for an agent that is not a member.
    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// Returns the number of messages of each agent in the room's current log; `None` for an
    /// unknown room.
    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>>;
    /// Returns the log's last sequence number and its newest `limit` messages in one snapshot. The
    /// messages MUST be oldest first. Returns `None` for an unknown room.
    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>>;
    /// Returns the images of these messages, in ascending order of ids and without duplicates.
    /// Skips messages that have no image or are not in `room`.
    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>>;
    /// Appends a message to the log and returns it.
    ///
    /// The sequence number MUST be the log's last one plus 1, and the room's activity MUST change
    /// in the same step. An unknown room or author is `Missing`, and a NUL in a text is `Invalid`.
    async fn append(&self, new: NewMessage) -> Result<Arc<Message>>;
    /// Deletes all messages of the room and returns their number, which may be 0. The clear takes
    /// the log's next sequence number, and ids of messages MUST NOT be reused.
    async fn clear(&self, room: RoomId) -> Result<u64>;
}

/// The users' read positions.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{NewMessage, NewRoom, RoomName, UserId};
///
/// let ports = contract::memory::repositories();
/// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
/// let new = NewRoom { owner: owner.clone(), name, max_interactions: None };
/// let room = ports.rooms.create(new).await?.id;
/// let message = ports.messages.append(NewMessage::from_user(room, "hello")).await?;
/// let position = ports.read_positions.mark(owner, room).await?;
/// assert_eq!(position.read_seq, message.seq);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ReadPositions: Send + Sync {
    /// Returns the read position of `user` in `room`; `None` if the user has never marked it.
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>>;
    /// Returns the positions of `user` in these rooms, in ascending order and without duplicates.
    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>>;
    /// Marks the room's whole log as read by `user`, increments the version, and returns the
    /// position. Positions of other users do not change.
    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>>;
}

/// The agents' sessions with their provider, one for each agent and room.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentId, Error, RoomId};
///
/// let sessions = contract::memory::repositories().sessions;
/// assert!(sessions.list(RoomId(7)).await?.is_empty());
/// let saved = sessions.save(RoomId(7), AgentId(3), "abc".into()).await;
/// assert_eq!(saved, Err(Error::missing("room", 7)));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Returns the sessions in a room, in ascending order of agents.
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>>;
    /// Sets the session of one member. The sessions of the others MUST stay. Fails with `Missing`
    /// for an agent that is not a member.
    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()>;
}

/// Waiting for writes of unknown outcome.
///
/// If a caller drops a write or receives [`Effect::MayBeApplied`](crate::Effect::MayBeApplied), it
/// does not know if the write happened. It can call [`Settle::settle`] and then read the row.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// let ports = contract::memory::repositories();
/// ports.settle.settle().await?;
/// // No abandoned write can change this list any more.
/// assert!(ports.rooms.list().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Settle: Send + Sync {
    /// Waits for all writes that began before this call and whose outcome was not reported. Returns
    /// when each of them has happened or can no longer happen.
    async fn settle(&self) -> Result<()>;
}

/// The health of the store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(contract::memory::repositories().health.check().await, Ok(()));
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Health: Send + Sync {
    /// Returns `Ok` if the store responds. Fails with `Unavailable` if it does not, or if another
    /// process may write to the store.
    async fn check(&self) -> Result<()>;
}

/// All ports of one store. A decorator takes a bundle and returns another, such as a cached one.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its name")]
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
