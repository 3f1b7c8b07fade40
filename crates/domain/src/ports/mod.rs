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
//! A list that can grow is read in parts: `after` is the last id of the part before, and `limit` is
//! the largest number of rows. A cache may keep lists of up to [`LIST_LIMIT`] rows in memory.
//!
//! Each sentence with MUST is a law: a test in the crate `contract` that any backend can run. To
//! add a method, add it here and to the table in `contract/src/methods.rs`. The compiler and the
//! tests then report every other place that needs the method.

mod agent_files;
mod agents;
mod changes;
mod memories;
mod messages;
mod read_positions;
mod rooms;
mod sessions;
mod usage_log;

use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;
#[cfg(feature = "mocks")]
pub use agent_files::MockAgentFiles;
pub use agent_files::{AgentFiles, NoFiles};
pub use agents::{AgentConfigs, Agents};
#[cfg(feature = "mocks")]
pub use agents::{MockAgentConfigs, MockAgents};
#[cfg(feature = "mocks")]
pub use changes::MockChanges;
pub use changes::{Began, Changes};
pub use memories::Memories;
#[cfg(feature = "mocks")]
pub use memories::MockMemories;
pub use messages::Messages;
#[cfg(feature = "mocks")]
pub use messages::MockMessages;
#[cfg(feature = "mocks")]
pub use read_positions::MockReadPositions;
pub use read_positions::ReadPositions;
#[cfg(feature = "mocks")]
pub use rooms::MockRooms;
pub use rooms::Rooms;
#[cfg(feature = "mocks")]
pub use sessions::MockSessions;
pub use sessions::Sessions;
#[cfg(feature = "mocks")]
pub use usage_log::MockUsageLog;
pub use usage_log::UsageLog;

/// The limit of lists that a cache may keep in memory. With longer ones, one list could take a
/// large part of the memory.
pub const LIST_LIMIT: usize = 1_000;

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
/// assert!(ports.rooms.list(None, 10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Settle: Send + Sync {
    /// Waits for all writes that began before this call and whose outcome was not reported. Returns
    /// when each of them has happened or can no longer happen.
    ///
    /// A write began when its method was first polled, even if it still waits in a queue of the
    /// store. If the outcome cannot be determined now, the call fails, and the caller tries again.
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
    pub files: Arc<dyn AgentFiles>,
    pub memories: Arc<dyn Memories>,
    pub rooms: Arc<dyn Rooms>,
    pub messages: Arc<dyn Messages>,
    pub read_positions: Arc<dyn ReadPositions>,
    pub sessions: Arc<dyn Sessions>,
    pub usage: Arc<dyn UsageLog>,
    pub settle: Arc<dyn Settle>,
    pub health: Arc<dyn Health>,
}

impl std::fmt::Debug for Repositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repositories").finish_non_exhaustive()
    }
}
