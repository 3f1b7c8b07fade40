//! The turns that are taking place, so that an agent that leaves stops composing at once.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{AgentId, RoomId};
use tokio_util::sync::CancellationToken;

use super::stop::StopSignals;

/// The turns of all rooms, each with the token that discards its answer. An agent has at most one
/// turn at a time in a room.
#[derive(Debug, Default)]
pub(super) struct ActiveTurns(Mutex<HashMap<(RoomId, AgentId), CancellationToken>>);

/// A turn that takes place until this is dropped.
pub(super) struct ActiveTurn<'a> {
    turns: &'a ActiveTurns,
    room: RoomId,
    agent: AgentId,
    /// The signals of the round. In addition, the agent's leaving discards the answer.
    pub(super) stop: StopSignals,
}

impl ActiveTurns {
    fn lock(&self) -> MutexGuard<'_, HashMap<(RoomId, AgentId), CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a turn in a round with these signals.
    ///
    /// The caller reads after this whether the agent may speak. So an agent that leaves before the
    /// read is seen by the read, and one that leaves later is seen by [`ActiveTurns::discard`].
    pub(super) fn begin(
        &self,
        room: RoomId,
        agent: AgentId,
        round: &StopSignals,
    ) -> ActiveTurn<'_> {
        let stop = StopSignals {
            keep: round.keep.clone(),
            discard: round.discard.child_token(),
        };
        self.lock().insert((room, agent), stop.discard.clone());
        ActiveTurn {
            turns: self,
            room,
            agent,
            stop,
        }
    }

    /// Discards the answers of an agent in this room; in all rooms if it is `None`.
    pub(super) fn discard(&self, agent: AgentId, room: Option<RoomId>) {
        for ((in_room, by), discard) in self.lock().iter() {
            if *by == agent && room.is_none_or(|room| room == *in_room) {
                discard.cancel();
            }
        }
    }
}

impl Drop for ActiveTurn<'_> {
    fn drop(&mut self) {
        self.turns.lock().remove(&(self.room, self.agent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_leaves_a_room_loses_its_turn_there_and_no_other() {
        let (turns, round) = (ActiveTurns::default(), StopSignals::default());
        let begin = |room, agent| turns.begin(RoomId(room), AgentId(agent), &round);
        let (ada, bo, ada_elsewhere) = (begin(1, 1), begin(1, 2), begin(2, 1));
        turns.discard(AgentId(1), Some(RoomId(1)));
        let discarded = [&ada, &bo, &ada_elsewhere].map(|turn| turn.stop.discard.is_cancelled());
        assert_eq!(discarded, [true, false, false]);
        turns.discard(AgentId(1), None);
        assert!(ada_elsewhere.stop.discard.is_cancelled());
        assert!(!round.discard.is_cancelled());
        round.discard.cancel();
        assert!(bo.stop.discard.is_cancelled());
        drop((ada, bo, ada_elsewhere));
        assert!(turns.lock().is_empty());
    }
}
