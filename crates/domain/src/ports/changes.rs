use std::sync::Arc;

use async_trait::async_trait;

use crate::{Change, Message, Result, RoomId, Seq};

/// The changes that the other processes make to a store that several processes share.
///
/// Each process has its own port. Its own changes are left out.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// use contract::memory::SharedStore;
/// use domain::{Change, NewRoom, RoomName, UserId};
///
/// let store = SharedStore::default();
/// let (here, there) = (store.node(), store.node());
/// here.changes.begin().await?;
/// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
/// let new = NewRoom { owner: owner.clone(), name, max_interactions: None };
/// there.repositories.rooms.create(new).await?;
/// assert_eq!(here.changes.next().await?, [Change::RoomCreated(owner)]);
/// # Ok(()) }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Changes: Send + Sync {
    /// Begins to follow the changes, or goes on after a call has failed.
    ///
    /// After [`Began::WentOn`], [`Changes::next`] MUST continue where its last result ended. After
    /// [`Began::Anew`], it MUST return the changes that are made after this call began.
    /// Earlier ones may be lost. A failed or dropped call has no effect.
    async fn begin(&self) -> Result<Began>;

    /// Returns the changes of other processes since the last call, or since [`Changes::begin`], in
    /// any order.
    ///
    /// It MUST return each change that was made before the call, once. A later call returns
    /// the changes of a failed or dropped one. [`Change::Everything`] stands for changes that it
    /// cannot name. After a failure, call [`Changes::begin`].
    async fn next(&self) -> Result<Vec<Change>>;

    /// Returns the messages of these rooms and sequence numbers that still exist, in any order.
    ///
    /// A message of a change that [`Changes::next`] has returned MUST be among them unless it was
    /// removed.
    async fn messages(&self, appended: &[(RoomId, Seq)]) -> Result<Vec<Arc<Message>>>;
}

/// The result of [`Changes::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// No change was missed since the last result.
    WentOn,
    /// Changes may have been missed.
    Anew,
}
