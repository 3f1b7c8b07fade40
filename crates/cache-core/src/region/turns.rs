//! Turns: upserts of one key run one after another.

use std::hash::Hash;

use crate::{
    context::QueueFull,
    sync::{Arc, AsyncMutex, HashMap, Mutex, OwnedMutexGuard},
};

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
    /// Waits for the turn of a key. Fails at once if `most` upserts of the key wait already.
    pub(crate) async fn take(&self, key: K, most: usize) -> Result<Turn<'_, K>, QueueFull> {
        let lock = {
            let mut locks = self.0.lock();
            let lock = locks.entry(key.clone()).or_default();
            // One belongs to the map, and one to the upsert whose turn it is.
            if Arc::strong_count(lock).saturating_sub(2) >= most.max(1) {
                return Err(QueueFull);
            }
            lock.clone()
        };
        // It exists before the wait, so that an upsert which is given up leaves no lock behind.
        let mut turn = Turn {
            turns: self,
            key,
            held: None,
        };
        turn.held = Some(lock.lock_owned().await);
        Ok(turn)
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
        let take = |key| Box::pin(turns.take(key, 2));
        let first = take(7).now_or_never().unwrap();
        let other = take(8).now_or_never();
        assert!(other.is_some_and(|other| other.is_ok()));
        let mut second = take(7);
        assert!(second.as_mut().now_or_never().is_none());
        drop(take(7).now_or_never());
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
        drop(second);
        assert!(turns.0.lock().is_empty());
    }

    #[test]
    fn only_so_many_wait_for_the_turn_of_a_key() {
        let turns = Turns::default();
        let take = |key| Box::pin(turns.take(key, 2));
        let first = take(7).now_or_never();
        let (mut second, mut third) = (take(7), take(7));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(take(7).now_or_never().is_some_and(|fourth| fourth.is_err()));
        drop(second);
        assert!(take(7).now_or_never().is_none());
        drop((first, third));
        assert!(turns.0.lock().is_empty());
    }
}
