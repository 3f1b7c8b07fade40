//! Wakes who waits for a change of a key: rung by the step that applies a write, after it was applied.

use std::{
    fmt,
    future::poll_fn,
    hash::Hash,
    task::{Context, Poll, Waker},
};

use slab::Slab;

use crate::sync::{Arc, AtomicUsize, HashMap, Mutex, Ordering, Weak};

/// One bell per key that somebody listens to.
pub(crate) struct Bells<K> {
    /// So that a write takes no lock here in a region that nobody ever listened to.
    count: AtomicUsize,
    hung: Mutex<Hung<K>>,
}

struct Hung<K> {
    bells: HashMap<K, Weak<Bell>>,
    /// When so many hang there, those that nobody listens to any more are taken down.
    sweep_at: usize,
}

#[derive(Default)]
struct Bell(Mutex<Rings>);

#[derive(Default)]
struct Rings {
    count: u64,
    wakers: Slab<Option<Waker>>,
}

/// Hears of each write to one key. To miss nothing, listen first, then read.
pub struct Listener {
    bell: Arc<Bell>,
    place: usize,
    heard: u64,
}

impl Listener {
    /// Returns when the key was written since the listener was made or this returned last.
    pub async fn rung(&mut self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// The same for whoever waits for several.
    pub fn poll_rung(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut rings = self.bell.0.lock();
        if rings.count != self.heard {
            self.heard = rings.count;
            return Poll::Ready(());
        }
        match &mut rings.wakers[self.place] {
            Some(waker) => waker.clone_from(context.waker()),
            empty @ None => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let waker = self.bell.0.lock().wakers.remove(self.place);
        drop(waker);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

impl<K> Default for Bells<K> {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            hung: Mutex::new(Hung {
                bells: HashMap::default(),
                sweep_at: 64,
            }),
        }
    }
}

impl<K: Eq + Hash> Bells<K> {
    pub(crate) fn listen(&self, key: K) -> Listener {
        let mut hung = self.hung.lock();
        let known = hung.bells.get(&key).and_then(Weak::upgrade);
        let bell = known.unwrap_or_else(|| {
            if hung.bells.len() >= hung.sweep_at {
                hung.bells.retain(|_, bell| bell.strong_count() > 0);
                hung.sweep_at = (2 * hung.bells.len()).max(64);
            }
            let bell = Arc::new(Bell::default());
            hung.bells.insert(key, Arc::downgrade(&bell));
            self.count.store(hung.bells.len(), Ordering::SeqCst);
            bell
        });
        drop(hung);
        let (place, heard) = {
            let mut rings = bell.0.lock();
            (rings.wakers.insert(None), rings.count)
        };
        Listener { bell, place, heard }
    }

    pub(crate) fn listeners(&self, key: &K) -> usize {
        let bell = self.hung.lock().bells.get(key).and_then(Weak::upgrade);
        bell.map_or(0, |bell| bell.0.lock().wakers.len())
    }

    /// Who listens before it reads either reads what was applied before this call or is woken by it.
    pub(crate) fn ring(&self, key: &K) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let bell = self.hung.lock().bells.get(key).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.ring();
        }
    }

    pub(crate) fn ring_all(&self) {
        let bells: Vec<_> = self
            .hung
            .lock()
            .bells
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        for bell in bells {
            bell.ring();
        }
    }
}

impl Bell {
    fn ring(&self) {
        let wakers: Vec<_> = {
            let mut rings = self.0.lock();
            rings.count += 1;
            rings
                .wakers
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_ring_between_two_waits_is_heard() {
        let bells = Bells::default();
        let mut listener = bells.listen(7);
        assert_eq!(listener.rung().now_or_never(), None);
        bells.ring(&8);
        assert_eq!(listener.rung().now_or_never(), None);
        bells.ring(&7);
        assert_eq!(listener.rung().now_or_never(), Some(()));
        assert_eq!(listener.rung().now_or_never(), None);
        bells.ring_all();
        assert_eq!(listener.rung().now_or_never(), Some(()));
    }

    #[test]
    fn bells_that_nobody_listens_to_are_taken_down() {
        let bells = Bells::default();
        let mut kept: Vec<_> = (0..100).map(|key| bells.listen(key)).collect();
        for key in 100..1_000 {
            drop(bells.listen(key));
        }
        let hung = bells.hung.lock();
        assert!(hung.bells.len() <= 200);
        assert_eq!(
            hung.sweep_at, 200,
            "a sweep costs no more than what was hung since the one before it"
        );
        drop(hung);
        bells.ring_all();
        assert!(
            kept.iter_mut()
                .all(|listener| listener.rung().now_or_never() == Some(())),
            "a bell that is listened to stays"
        );
    }

    #[test]
    fn a_few_bells_are_not_swept() {
        let bells = Bells::default();
        (0..64).for_each(|key| drop(bells.listen(key)));
        assert_eq!(bells.hung.lock().bells.len(), 64);
        drop(bells.listen(64));
        assert_eq!(bells.hung.lock().bells.len(), 1);
    }

    #[test]
    fn who_stops_listening_is_counted_no_longer() {
        let bells = Bells::default();
        assert_eq!(bells.listeners(&7), 0);
        let (first, second) = (bells.listen(7), bells.listen(7));
        assert_eq!((bells.listeners(&7), bells.listeners(&8)), (2, 0));
        drop(first);
        assert_eq!(bells.listeners(&7), 1);
        drop(second);
        assert_eq!(bells.listeners(&7), 0);
    }
}
