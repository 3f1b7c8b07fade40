//! Stores that several processes share, with a fault in their changes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use domain::{Began, Change, Changes, Message, Result, RoomId, Seq};
use futures_util::future::BoxFuture;

use crate::{
    changes::{Node, Share},
    memory::SharedStore,
};

/// A fault of a [`FaultyChanges`], which breaks one rule of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesFault {
    /// `MembersChanged` is never returned.
    HidesMembers,
    /// Each result repeats the previous one.
    ReturnsTwice,
    /// A process receives its own changes.
    ReturnsOwnWrites,
    /// A second `begin` drops pending changes and returns `WentOn`.
    ForgetsAtBeginning,
    /// Removed messages are still read.
    KeepsRemovedMessages,
    /// Each tenth result is empty.
    LosesResults,
}

impl ChangesFault {
    /// All faults.
    pub const ALL: [Self; 6] = [
        Self::HidesMembers,
        Self::ReturnsTwice,
        Self::ReturnsOwnWrites,
        Self::ForgetsAtBeginning,
        Self::KeepsRemovedMessages,
        Self::LosesResults,
    ];
}

/// A store that several processes share, with one fault.
///
/// ```
/// use contract::planted::{ChangesFault, FaultyChanges};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultyChanges::new(ChangesFault::ReturnsTwice);
/// assert!(!contract::check_changes(&store).await.failed.is_empty());
/// # }
/// ```
pub struct FaultyChanges {
    fault: ChangesFault,
    store: SharedStore,
}

impl FaultyChanges {
    /// Creates an empty store with this fault.
    pub fn new(fault: ChangesFault) -> Self {
        Self {
            fault,
            store: SharedStore::default(),
        }
    }
}

impl Share for FaultyChanges {
    fn open_node(&self) -> BoxFuture<'_, Result<Node>> {
        let node = self.store.node();
        // The port of a process that never writes leaves nothing out.
        let changes = match self.fault {
            ChangesFault::ReturnsOwnWrites => self.store.node().changes,
            _ => node.changes,
        };
        let changes = Arc::new(FaultyFollowing {
            fault: self.fault,
            changes,
            last: Mutex::default(),
            results: AtomicU64::new(0),
            messages: Mutex::default(),
        });
        Box::pin(async {
            Ok(Node {
                repositories: node.repositories,
                changes,
            })
        })
    }
}

struct FaultyFollowing {
    fault: ChangesFault,
    changes: Arc<dyn Changes>,
    last: Mutex<Vec<Change>>,
    results: AtomicU64,
    messages: Mutex<Vec<Arc<Message>>>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Changes for FaultyFollowing {
    async fn begin(&self) -> Result<Began> {
        let began = self.changes.begin().await?;
        if self.fault == ChangesFault::ForgetsAtBeginning {
            self.changes.next().await?;
        }
        Ok(began)
    }

    async fn next(&self) -> Result<Vec<Change>> {
        let mut changes = self.changes.next().await?;
        match self.fault {
            ChangesFault::HidesMembers => {
                changes.retain(|change| !matches!(change, Change::MembersChanged(_)));
            }
            ChangesFault::ReturnsTwice => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                let again = std::mem::replace(&mut *last, changes.clone());
                changes.extend(again);
            }
            // Relaxed: only the number matters.
            ChangesFault::LosesResults
                if self.results.fetch_add(1, Ordering::Relaxed) % 10 == 9 =>
            {
                changes.clear();
            }
            _ => {}
        }
        Ok(changes)
    }

    async fn messages(&self, appended: &[(RoomId, Seq)]) -> Result<Vec<Arc<Message>>> {
        let found = self.changes.messages(appended).await?;
        if self.fault != ChangesFault::KeepsRemovedMessages {
            return Ok(found);
        }
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.extend(found);
        Ok(messages.clone())
    }
}
