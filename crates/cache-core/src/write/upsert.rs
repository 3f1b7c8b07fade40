//! Upserts: writes of one key that depend on its value.

use super::{error::WriteError, guard::Written};
use crate::{
    context::Ended,
    manager::Manager,
    nesting,
    region::{Region, policy::Key},
    sync::{Arc, Mutex},
};

impl Manager {
    /// Runs a write of one key that depends on the key's value, and stores the value that it
    /// returns. Upserts of one key run one after another.
    ///
    /// `write` is passed the value that was in memory when the key's window opened, which is as new
    /// as the last write. If it is passed `None`, it must read the value from the source, within
    /// its own transaction. If other processes write, `write` is always passed `None`. The rules of
    /// [`WriteGuard::run`](crate::WriteGuard::run) hold.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// let visits = manager.region("visits", Policy::new(Duration::from_secs(60), 100));
    /// let visit = |count: Option<u64>| async move {
    ///     // A database would be written here.
    ///     Written::<_, Infallible>::Committed(count.unwrap_or(0) + 1)
    /// };
    /// assert_eq!(manager.upsert(&visits, 7, visit).await, Ok(1));
    /// assert_eq!(manager.upsert(&visits, 7, visit).await, Ok(2));
    /// assert_eq!(visits.get(&7), Some(2));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`WriteGuard::run`](crate::WriteGuard::run). If the turn of this upsert has not come
    /// within the write timeout, or if as many upserts of the key wait as writes may wait for a
    /// permit, returns [`WriteError::Overloaded`]. Within an upsert of the same
    /// key, returns [`WriteError::Nested`] at once.
    pub async fn upsert<K, V, E, Fut>(
        &self,
        region: &Region<K, V>,
        key: K,
        write: impl FnOnce(Option<V>) -> Fut + Send + 'static,
    ) -> Result<V, WriteError<E>>
    where
        K: Key,
        V: Clone + Send + Sync + 'static,
        E: Send + 'static,
        Fut: Future<Output = Written<V, E>> + Send + 'static,
    {
        let context = &region.state.context;
        let mark = region.state.upsert_mark(&key);
        if nesting::is_within(mark) {
            return Err(WriteError::Nested);
        }
        let (began, timeout) = (context.runtime.clock.now(), context.limits.write_timeout);
        let most = context.limits.writes.queue;
        let turn = context.bounded(region.state.turns.take(key.clone(), most), timeout);
        let Ended::With(Ok(_turn)) = turn.await else {
            return Err(WriteError::Overloaded);
        };
        let left = timeout.saturating_sub(context.since(began));
        let taken = Arc::new(Mutex::new(None));
        let current = taken.clone();
        let write = async move {
            // First polled when the window is open.
            let current = current.lock().take();
            nesting::within(vec![mark], async { write(current).await }).await
        };
        self.guard()
            .key_taking(region, key.clone(), taken)
            .key_storing(region, key, |value| Some(V::clone(value)))
            .run_within(left, write)
            .await
    }
}
