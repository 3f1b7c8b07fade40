//! The places for answers that are composed at the same time, shared fairly among owners.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::UserId;
use tokio::sync::oneshot;

/// The places. Whoever waits for one gets it in turn: one answer of each owner after the other, and
/// the answers of one owner in the order in which they came. So an owner with many rooms does not
/// delay the others.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<PlaceState>>);

#[derive(Debug)]
struct PlaceState {
    free: usize,
    /// The owners that wait, in the order of their turns. None of the queues is empty.
    waiting: VecDeque<(UserId, VecDeque<oneshot::Sender<Place>>)>,
}

/// A place. Dropping it gives it to the next one that waits. `None` after it was given away.
#[derive(Debug)]
pub(super) struct Place(Option<Places>);

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(PlaceState {
            free: count,
            waiting: VecDeque::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, PlaceState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of free places.
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    /// Takes a place, if one is free.
    pub(super) fn try_take(&self) -> Option<Place> {
        let mut state = self.lock();
        // While somebody waits, no place is free.
        state.free = state.free.checked_sub(1)?;
        Some(Place(Some(self.clone())))
    }

    /// Waits for a place for an answer in a room of `owner`.
    pub(super) async fn take(&self, owner: &UserId) -> Place {
        loop {
            if let Some(place) = self.try_take() {
                return place;
            }
            let placed = self.queue(owner);
            // The sender is dropped only if a place became free in between.
            if let Ok(place) = placed.await {
                return place;
            }
        }
    }

    /// Returns the receiver of a place. It fails at once if one is free now.
    fn queue(&self, owner: &UserId) -> oneshot::Receiver<Place> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.free > 0 {
            return receiver;
        }
        match state
            .waiting
            .iter_mut()
            .find(|(waiting, _)| waiting == owner)
        {
            Some((_, queue)) => queue.push_back(sender),
            None => state
                .waiting
                .push_back((owner.clone(), VecDeque::from([sender]))),
        }
        receiver
    }

    /// Gives a place to the next one that waits, or sets it free.
    fn give(&self) {
        while let Some(sender) = self.next_waiting() {
            match sender.send(Place(Some(self.clone()))) {
                Ok(()) => return,
                // The receiver is gone. The place is given to another one, not dropped.
                Err(mut place) => drop(place.0.take()),
            }
        }
    }

    /// Removes the sender whose turn it is. If there is none, counts a free place.
    fn next_waiting(&self) -> Option<oneshot::Sender<Place>> {
        let mut state = self.lock();
        let Some((owner, mut queue)) = state.waiting.pop_front() else {
            state.free += 1;
            return None;
        };
        let sender = queue.pop_front();
        if !queue.is_empty() {
            state.waiting.push_back((owner, queue));
        }
        sender
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::BoxFuture};

    use super::*;

    fn owner(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// Begins to wait for a place. Its future holds the place until it is dropped.
    fn begin<'a>(
        places: &'a Places,
        owner: &'a UserId,
        order: &'a Mutex<Vec<String>>,
    ) -> BoxFuture<'a, Place> {
        let waiting = places.take(owner).inspect(|_| {
            order.lock().unwrap().push(owner.to_string());
        });
        let mut waiting = waiting.boxed();
        assert!((&mut waiting).now_or_never().is_none());
        waiting
    }

    #[test]
    fn owners_get_places_in_turn_whatever_the_number_of_their_answers() {
        let (places, order) = (Places::new(1), Mutex::default());
        let (ann, bo) = (owner("ann"), owner("bo"));
        let first = places.try_take().unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| begin(&places, &ann, &order)).collect();
        waiting.push(begin(&places, &bo, &order));
        assert!(places.try_take().is_none());
        drop(first);
        while !waiting.is_empty() {
            waiting.retain_mut(|waiting| waiting.now_or_never().is_none());
        }
        assert_eq!(*order.lock().unwrap(), ["ann", "bo", "ann", "ann"]);
        assert_eq!(places.free(), 1);
    }

    #[test]
    fn a_place_is_never_lost_when_those_that_wait_give_up() {
        let (places, order) = (Places::new(1), Mutex::default());
        let (ann, bo) = (owner("ann"), owner("bo"));
        let first = places.try_take().unwrap();
        let (gives_up, goes_on) = (begin(&places, &ann, &order), begin(&places, &bo, &order));
        let has_a_place_and_gives_up = begin(&places, &ann, &order);
        drop(gives_up);
        drop(first);
        let second = goes_on.now_or_never().unwrap();
        drop(second);
        // The place was given, but not yet received.
        drop(has_a_place_and_gives_up);
        assert_eq!(places.free(), 1);
    }
}
