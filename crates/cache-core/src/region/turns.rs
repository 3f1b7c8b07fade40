//! Turns: upserts of one key run one after another.

use std::hash::Hash;

use crate::sync::{Arc, AsyncMutex, HashMap, Mutex, OwnedMutexGuard};

/// The locks of the keys that are being upserted.
pub(crate) struct Turns<K>(Mutex<HashMap<K, Arc<AsyncMutex<()>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::default()))
    }
}

/// The turn of one upsert. Dropping it ends the turn.
pub(crate) struct Turn<'a, K: Eq + Hash> {
    turns: &'a Turns<K>,
    key: K,
    /// `None` while it waits, and once the lock is released.
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Waits for the turn of a key.
    pub(crate) async fn take(&self, key: K) -> Turn<'_, K> {
        let lock = self.0.lock().entry(key.clone()).or_default().clone();
        // It exists before the wait, so that an upsert which is given up leaves no lock behind.
        let mut turn = Turn {
            turns: self,
            key,
            held: None,
        };
        turn.held = Some(lock.lock_owned().await);
        turn
    }
}

impl<K: Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = self.turns.0.lock();
        // Under the lock of the map, so that nobody takes the key's lock in between.
        let is_unused = |lock: &Arc<AsyncMutex<()>>| Arc::strong_count(lock) == 1;
        if locks.get(&self.key).is_some_and(is_unused) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn turns_of_a_key_follow_one_another_and_leave_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take(7).now_or_never().unwrap();
        let other = turns.take(8).now_or_never();
        assert!(other.is_some());
        let mut second = Box::pin(turns.take(7));
        assert!(second.as_mut().now_or_never().is_none());
        drop(turns.take(7).now_or_never());
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
        drop((other, second));
        assert!(turns.0.lock().is_empty());
    }
}
