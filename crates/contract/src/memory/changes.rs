//! The log of changes of an in-memory store that several processes share.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use domain::{Began, Change, Changes, Error, Message, Result, RoomId, Seq};
use futures_util::future::{BoxFuture, ready};

use super::Memory;
use crate::changes::{Node, Share};

/// An in-memory store that several processes share.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// use contract::memory::SharedStore;
///
/// let store = SharedStore::default();
/// let (here, there) = (store.node(), store.node());
/// here.changes.begin().await?;
/// assert_eq!(there.repositories.rooms.list(None, 10).await?, []);
/// assert_eq!(here.changes.next().await?, []);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct SharedStore {
    first: Memory,
    nodes: AtomicU64,
}

/// Identifies one of the processes that share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u64);

/// The changes of all processes, in the order of their commits.
#[derive(Default)]
pub(crate) struct ChangeLog {
    /// The process that makes the current step; `None` if no other process shares the store.
    pub(crate) writer: Option<NodeId>,
    changes: Vec<(NodeId, Change)>,
}

impl ChangeLog {
    /// Adds a change of the current step, if several processes share the store.
    pub(crate) fn add(&mut self, change: Change) {
        if let Some(writer) = self.writer {
            self.changes.push((writer, change));
        }
    }
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStore").finish_non_exhaustive()
    }
}

impl SharedStore {
    /// Returns the ports of another process.
    pub fn node(&self) -> Node {
        // Relaxed: only the numbers must differ.
        let node = NodeId(self.nodes.fetch_add(1, Ordering::Relaxed));
        let memory = Arc::new(Memory {
            tables: self.first.tables.clone(),
            node: Some(node),
            ..Memory::default()
        });
        Node {
            repositories: Memory::bundle(&memory),
            changes: memory,
        }
    }
}

impl Share for SharedStore {
    fn open_node(&self) -> BoxFuture<'_, Result<Node>> {
        Box::pin(ready(Ok(self.node())))
    }
}

#[async_trait]
impl Changes for Memory {
    async fn begin(&self) -> Result<Began> {
        let tables = self.tables();
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.is_some() {
            return Ok(Began::WentOn);
        }
        *cursor = Some(tables.log.changes.len());
        Ok(Began::Anew)
    }

    async fn next(&self) -> Result<Vec<Change>> {
        let tables = self.tables();
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cursor) = cursor.as_mut() else {
            return Err(Error::Invalid(
                "`Changes::next` is called before `Changes::begin`".into(),
            ));
        };
        let changes = &tables.log.changes[*cursor..];
        let others = changes.iter().filter(|(node, _)| Some(*node) != self.node);
        let others = others.map(|(_, change)| change.clone()).collect();
        *cursor = tables.log.changes.len();
        Ok(others)
    }

    async fn messages(&self, appended: &[(RoomId, Seq)]) -> Result<Vec<Arc<Message>>> {
        let tables = self.tables();
        let message = |(room, seq): &(RoomId, Seq)| {
            let mut messages = tables.rooms.get(room)?.messages.iter();
            messages.find(|message| message.seq == *seq).cloned()
        };
        Ok(appended.iter().filter_map(message).collect())
    }
}
