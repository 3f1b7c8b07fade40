//! Reads of polls, which each thread answers from what it keeps of rooms.

use cache_core::Read;
use domain::{MessageId, RoomId, Seq, UserId};

use crate::{cache::Cache, observe::note};

/// Glances at what browsers ask every second or two, for each room that is open. A glance writes
/// nothing that threads share, so it costs the same however many threads poll one room.
impl Cache {
    /// Returns `true` if memory says that the room admits the user. Otherwise read the room through
    /// the ports.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{NewRoom, RoomName, UserId};
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let new = NewRoom { owner: owner.clone(), name, max_interactions: None };
    /// let room = cache.repositories.rooms.create(new).await?.id;
    /// cache.repositories.rooms.find(room).await?;
    /// assert!(cache.admits(room, &owner));
    ///
    /// cache.repositories.rooms.delete(room).await?;
    /// assert!(!cache.admits(room, &owner));
    /// # Ok(()) }
    /// ```
    pub fn admits(&self, room: RoomId, user: &UserId) -> bool {
        let rooms = &self.store.glances.rooms;
        let admits = rooms.glance(&room, |room| room.admits(user).then_some(()));
        glanced(admits).is_some()
    }

    /// Returns `true` if memory says that the room has no message with a greater id. Otherwise read
    /// the messages through the ports.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{NewMessage, NewRoom, RoomName, UserId};
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let ports = &cache.repositories;
    /// let room = ports.rooms.create(NewRoom { owner, name, max_interactions: None }).await?.id;
    /// let first = ports.messages.append(NewMessage::from_user(room, "Hello")).await?.id;
    /// ports.messages.since(room, first, 100).await?;
    /// assert!(cache.has_nothing_after(room, first));
    ///
    /// ports.messages.append(NewMessage::from_user(room, "Bye")).await?;
    /// assert!(!cache.has_nothing_after(room, first));
    /// # Ok(()) }
    /// ```
    pub fn has_nothing_after(&self, room: RoomId, message: MessageId) -> bool {
        let ends = &self.store.glances.ends;
        let has_nothing = ends.glance(&room, |end| (message >= *end).then_some(()));
        glanced(has_nothing).is_some()
    }

    /// Returns the version of the room's log, as [`Activity`](domain::Activity) has it; `None` if
    /// it is not in memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{NewRoom, RoomName, UserId};
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let ports = &cache.repositories;
    /// let room = ports.rooms.create(NewRoom { owner, name, max_interactions: None }).await?.id;
    /// assert_eq!(cache.log_version(room), None);
    ///
    /// ports.rooms.activity(room).await?;
    /// assert_eq!(cache.log_version(room), Some(None), "no message was removed");
    /// # Ok(()) }
    /// ```
    pub fn log_version(&self, room: RoomId) -> Option<Option<Seq>> {
        let log_versions = &self.store.glances.log_versions;
        glanced(log_versions.glance(&room, |version| Some(*version)))
    }
}

/// Reports a glance to the observer.
fn glanced<T>(read: Option<Read<T>>) -> Option<T> {
    let read = read?;
    note(read.source, read.age);
    read.value
}
