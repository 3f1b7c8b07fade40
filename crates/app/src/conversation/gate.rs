//! What is written into a room's log while agents answer, one thing at a time, so that no answer is taken for one to what its
//! author had not seen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use domain::RoomId;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

/// How often a person wrote, and how often the log was cleared, since the gate was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) said: u64,
    pub(crate) cleared: u64,
}

/// Held by who writes into the log.
#[derive(Debug, Default)]
pub(crate) struct Gate(AsyncMutex<Marks>);

impl Gate {
    pub(crate) async fn pass(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().await
    }
}

/// The gates of the rooms in which somebody writes or answers.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<RoomId, Weak<Gate>>>);

impl Gates {
    /// The room's gate, which lasts as long as somebody has it.
    pub(crate) fn of(&self, room: RoomId) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&room).and_then(Weak::upgrade) {
            return gate;
        }
        // So that of the rooms of the past no more are kept than there are of the present.
        if gates.len() >= gates.capacity() {
            gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::default();
        gates.insert(room, Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_is_shared_while_somebody_has_it_and_forgotten_then() {
        let gates = Gates::default();
        let gate = gates.of(RoomId(1));
        gate.pass().await.said += 1;
        assert_eq!(gates.of(RoomId(1)).pass().await.said, 1);
        drop(gate);
        assert_eq!(*gates.of(RoomId(1)).pass().await, Marks::default());
        for room in 0..10_000 {
            drop(gates.of(RoomId(room)));
        }
        assert!(gates.0.lock().unwrap().len() < 100);
    }
}
