//! Listeners: wake the tasks that wait for a write of one key, after the write was applied.

use std::{
    borrow::Borrow,
    fmt,
    future::poll_fn,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash},
    task::{Context, Poll, Waker},
};

use slab::Slab;

use crate::sync::{Arc, AtomicUsize, HashMap, Mutex, Ordering, Weak};

/// The number of shards: more than there are cores on most machines, and little memory.
const SHARDS: usize = 32;
/// The minimum number of channels of a shard at which unused ones are removed. Fewer take little
/// memory.
const SWEEP_FROM: usize = 16;

/// The channels of the keys of one region that have, or had, listeners.
pub(crate) struct Listeners<K> {
    /// The number of listeners. While it is 0, a write takes no lock here.
    count: Arc<AtomicUsize>,
    /// The channels, divided by the hashes of their keys, so that writes of different keys rarely
    /// wait for each other's look-up.
    shards: Box<[Mutex<Channels<K>>]>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

struct Channels<K> {
    by_key: HashMap<K, Weak<Channel>>,
    /// The number of channels at which those without listeners are removed. It is twice the number
    /// that was left by the last sweep, so that a sweep costs constant time per new channel.
    sweep_at: usize,
}

/// The listeners of one key.
#[derive(Default)]
struct Channel(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    /// The number of writes. A listener compares it with the number that it has seen.
    writes: u64,
    wakers: Slab<Option<Waker>>,
}

/// A listener for writes of one key. [`Region::listen`](crate::Region::listen) returns one.
///
/// It is notified after a write has ended whose guard names the key, or a part of the region, even
/// if the write was not applied. Inserting and removing by hand notify nobody, nor does a guard
/// that only says [`WriteGuard::creating`](crate::WriteGuard::creating). To
/// miss nothing, listen first, then read:
///
/// ```
/// # use cache_core::*;
/// # use std::{convert::Infallible, time::Duration};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
/// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
/// let mut listener = names.listen(7);
/// let before = names.get(&7);
///
/// let write = async { Written::<_, Infallible>::Committed("Ada") };
/// let guard = manager.guard().key_storing(&names, 7, |row| Some(*row));
/// guard.run(write).await.unwrap();
///
/// listener.rung().await;
/// assert_eq!((before, names.get(&7)), (None, Some("Ada")));
/// # }
/// ```
pub struct Listener {
    /// The number of listeners of the region.
    count: Arc<AtomicUsize>,
    channel: Arc<Channel>,
    slot: usize,
    seen: u64,
}

impl Listener {
    /// Waits until the key was written since the listener was created or last notified. Several
    /// writes may be reported as one. The returned future may be dropped and the method called
    /// again.
    pub async fn rung(&mut self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// Polls as [`Listener::rung`] does, for a task that waits for several listeners.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{future::poll_fn, task::Poll, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let mut listeners = [names.listen(7), names.listen(8)];
    /// let written = poll_fn(|context| {
    ///     Poll::Ready(listeners.iter_mut().any(|one| one.poll_rung(context).is_ready()))
    /// });
    /// assert!(!written.await);
    /// # }
    /// ```
    pub fn poll_rung(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.channel.0.lock();
        if waiters.writes != self.seen {
            self.seen = waiters.writes;
            return Poll::Ready(());
        }
        match &mut waiters.wakers[self.slot] {
            Some(waker) => waker.clone_from(context.waker()),
            empty @ None => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // SeqCst, as when it was counted.
        self.count.fetch_sub(1, Ordering::SeqCst);
        let waker = self.channel.0.lock().wakers.remove(self.slot);
        // Dropped after the lock: dropping a waker may run code of the executor.
        drop(waker);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl<K> Default for Listeners<K> {
    fn default() -> Self {
        Self::with_shards(SHARDS)
    }
}

impl<K> Listeners<K> {
    fn with_shards(shards: usize) -> Self {
        let shard = || {
            Mutex::new(Channels {
                by_key: HashMap::default(),
                sweep_at: SWEEP_FROM,
            })
        };
        Self {
            count: Arc::new(AtomicUsize::new(0)),
            shards: (0..shards).map(|_| shard()).collect(),
            hasher: BuildHasherDefault::default(),
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Mutex<Channels<K>> {
        let shards = self.shards.len() as u64;
        // The remainder is below the number of shards, so it fits.
        let shard = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or(0);
        &self.shards[shard]
    }
}

impl<K: Eq + Hash> Listeners<K> {
    /// Returns a listener for the writes of a key that end from now on.
    pub(crate) fn listen(&self, key: K) -> Listener {
        let channel = self.channel(key);
        // SeqCst: a listener that reads after this is either seen by `notify`, or reads what was
        // applied before `notify` loaded the count.
        self.count.fetch_add(1, Ordering::SeqCst);
        let (slot, seen) = {
            let mut waiters = channel.0.lock();
            (waiters.wakers.insert(None), waiters.writes)
        };
        Listener {
            count: self.count.clone(),
            channel,
            slot,
            seen,
        }
    }

    fn channel(&self, key: K) -> Arc<Channel> {
        let mut channels = self.shard(&key).lock();
        if let Some(channel) = channels.by_key.get(&key).and_then(Weak::upgrade) {
            return channel;
        }
        if channels.by_key.len() >= channels.sweep_at {
            channels
                .by_key
                .retain(|_, channel| channel.strong_count() > 0);
            channels.sweep_at = (2 * channels.by_key.len()).max(SWEEP_FROM);
        }
        let channel = Arc::new(Channel::default());
        channels.by_key.insert(key, Arc::downgrade(&channel));
        channel
    }

    /// Returns how many listeners a key has.
    pub(crate) fn listeners<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let channels = self.shard(key).lock();
        let channel = channels.by_key.get(key).and_then(Weak::upgrade);
        drop(channels);
        channel.map_or(0, |channel| channel.0.lock().wakers.len())
    }

    /// Notifies the listeners of a key. Called after a write was applied: a task that listened
    /// before it read either has read the new value or is woken.
    pub(crate) fn notify(&self, key: &K) {
        // SeqCst: pairs with the count in `listen`.
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let channels = self.shard(key).lock();
        let channel = channels.by_key.get(key).and_then(Weak::upgrade);
        drop(channels);
        if let Some(channel) = channel {
            channel.notify();
        }
    }

    /// Notifies the listeners of every key of the region.
    pub(crate) fn notify_all(&self) {
        for shard in &self.shards {
            let channels: Vec<_> = {
                let channels = shard.lock();
                channels.by_key.values().filter_map(Weak::upgrade).collect()
            };
            for channel in channels {
                channel.notify();
            }
        }
    }
}

impl Channel {
    fn notify(&self) {
        let wakers: Vec<_> = {
            let mut waiters = self.0.lock();
            waiters.writes += 1;
            waiters
                .wakers
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        // After the lock: a waker may run the listener at once.
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_write_between_two_waits_is_reported() {
        let listeners = Listeners::default();
        let mut listener = listeners.listen(7);
        assert_eq!(listener.rung().now_or_never(), None);
        listeners.notify(&8);
        assert_eq!(listener.rung().now_or_never(), None);
        listeners.notify(&7);
        assert_eq!(listener.rung().now_or_never(), Some(()));
        assert_eq!(listener.rung().now_or_never(), None);
        listeners.notify_all();
        assert_eq!(listener.rung().now_or_never(), Some(()));
    }

    #[test]
    fn channels_without_listeners_are_swept() {
        let listeners = Listeners::with_shards(1);
        let mut live: Vec<_> = (0..100).map(|key| listeners.listen(key)).collect();
        for key in 100..1_000 {
            drop(listeners.listen(key));
        }
        let channels = listeners.shards[0].lock();
        assert!(channels.by_key.len() <= 200);
        assert_eq!(
            channels.sweep_at, 200,
            "a sweep costs no more than the channels created since the last one"
        );
        drop(channels);
        listeners.notify_all();
        assert!(
            live.iter_mut()
                .all(|listener| listener.rung().now_or_never() == Some(())),
            "a channel with listeners stays"
        );
    }

    #[test]
    fn a_few_channels_are_not_swept() {
        let listeners = Listeners::with_shards(1);
        (0..16).for_each(|key| drop(listeners.listen(key)));
        assert_eq!(listeners.shards[0].lock().by_key.len(), 16);
        drop(listeners.listen(16));
        assert_eq!(listeners.shards[0].lock().by_key.len(), 1);
    }

    #[test]
    fn a_dropped_listener_is_counted_no_longer() {
        let listeners = Listeners::default();
        assert_eq!(listeners.listeners(&7), 0);
        let (first, second) = (listeners.listen(7), listeners.listen(7));
        assert_eq!((listeners.listeners(&7), listeners.listeners(&8)), (2, 0));
        drop(first);
        assert_eq!(listeners.listeners(&7), 1);
        assert_eq!(listeners.count.load(Ordering::SeqCst), 1);
        drop(second);
        assert_eq!(listeners.listeners(&7), 0);
        assert_eq!(
            listeners.count.load(Ordering::SeqCst),
            0,
            "a write takes no lock any more"
        );
    }
}
