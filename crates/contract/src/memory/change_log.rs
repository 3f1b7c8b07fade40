//! The log of changes of an in-memory store that several processes share.

use domain::Change;

/// Identifies one of the processes that share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) u64);

/// The changes of all processes, in the order of their commits.
#[derive(Default)]
pub(crate) struct ChangeLog {
    /// The process that makes the current step; `None` if no other process shares the store.
    pub(crate) writer: Option<NodeId>,
    pub(crate) changes: Vec<(NodeId, Change)>,
}

impl ChangeLog {
    /// Adds a change of the current step, if several processes share the store.
    pub(crate) fn add(&mut self, change: Change) {
        if let Some(writer) = self.writer {
            self.changes.push((writer, change));
        }
    }
}
