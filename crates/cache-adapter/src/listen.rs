//! Listeners, which notify a caller after each write to one piece of data.

use cache_core::Listener;
use domain::{AgentId, RoomId};

use crate::cache::Cache;

/// A piece of data whose writes a caller can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListenTarget {
    /// A room's log. Its writes are new messages, clears, and the deletion of the room.
    Messages(RoomId),
    /// A room's settings. Deleting the room is a write to them.
    Room(RoomId),
    /// A room's members.
    Members(RoomId),
    /// An agent's identity. Deleting the agent is a write to it.
    Agent(AgentId),
    /// An agent's persona.
    Config(AgentId),
}

impl Cache {
    /// Returns a listener that is notified of each write to `target`, after readers can see the
    /// write.
    ///
    /// Call this method before the first read. Then the listener reports every write that the read
    /// does not show. Several writes between two waits are reported as one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use cache_adapter::ListenTarget;
    /// use domain::{MessageId, NewMessage, NewRoom, RoomName, UserId};
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let new = NewRoom { owner, name, max_interactions: None };
    /// let ports = &cache.repositories;
    /// let room = ports.rooms.create(new).await?.id;
    ///
    /// let mut listener = cache.listen(ListenTarget::Messages(room));
    /// assert!(ports.messages.since(room, MessageId(0), 10).await?.is_empty());
    /// ports.messages.append(NewMessage::from_user(room, "hi")).await?;
    /// listener.rung().await;
    /// assert_eq!(ports.messages.since(room, MessageId(0), 10).await?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn listen(&self, target: ListenTarget) -> Listener {
        let regions = &self.store.regions;
        match target {
            ListenTarget::Messages(room) => regions.room_messages.region().listen(room),
            ListenTarget::Room(room) => regions.room_obj.listen(room),
            ListenTarget::Members(room) => regions.room_agents.listen(room),
            ListenTarget::Agent(agent) => regions.agent_obj.listen(agent),
            ListenTarget::Config(agent) => regions.agent_config.listen(agent),
        }
    }

    /// Returns the number of listeners that are registered for a room's log.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use cache_adapter::ListenTarget;
    /// use domain::RoomId;
    ///
    /// let listener = cache.listen(ListenTarget::Messages(RoomId(7)));
    /// assert_eq!(cache.message_listeners(RoomId(7)), 1);
    /// drop(listener);
    /// assert_eq!(cache.message_listeners(RoomId(7)), 0);
    /// # }
    /// ```
    pub fn message_listeners(&self, room: RoomId) -> usize {
        self.store.regions.room_messages.region().listeners(&room)
    }
}
