//! The windows of one write, from before it begins until its outcome is known.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    settle::Settler,
    window::{self, Outcome, Scope},
};
use crate::sync::Arc;

/// The windows of one write. If it is dropped without a known outcome, the windows that are open
/// stay open until the write is settled.
pub(super) struct OpenWindows {
    settler: Arc<Settler>,
    pub(super) scopes: Vec<Box<dyn Scope>>,
}

impl OpenWindows {
    /// Returns the windows of a write. None is open yet.
    pub(super) fn new(settler: Arc<Settler>, scopes: Vec<Box<dyn Scope>>) -> Self {
        Self { settler, scopes }
    }

    /// Opens all windows. Fails if user code panics. Some windows are open then.
    pub(super) fn open(&mut self) -> Result<(), Panicked> {
        // One scope after the other, each locking one stripe at a time: no write waits for a lock
        // while it holds another.
        for scope in &mut self.scopes {
            catch_unwind(AssertUnwindSafe(|| scope.open())).map_err(|_| Panicked)?;
        }
        Ok(())
    }

    /// Closes all windows: logs first, the one that was added last before the others. Windows that
    /// user code keeps open by panics stay here, to be settled.
    pub(super) fn close(&mut self, outcome: Outcome) {
        let (logs, regions): (Vec<_>, Vec<_>) = std::mem::take(&mut self.scopes)
            .into_iter()
            .partition(|scope| scope.is_log());
        let scopes = logs.into_iter().rev().chain(regions);
        self.scopes = window::close_all(scopes, outcome);
    }
}

/// An error: user code panicked.
pub(super) struct Panicked;

impl Drop for OpenWindows {
    fn drop(&mut self) {
        let scopes = std::mem::take(&mut self.scopes);
        let scopes = self.settler.context.rules.open_while_unknown(scopes);
        if !scopes.is_empty() {
            self.settler.leave_open(scopes);
        }
    }
}
