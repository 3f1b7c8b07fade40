//! A record of the agents whose personas were read recently. Only their files are checked for
//! edits.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::AgentId;

/// The number of slots. A slot holds the number of the round of the last read; all slots take 32
/// KiB.
///
/// Agents whose ids differ by a multiple of `SLOTS` share a slot. A read of one of them then counts
/// as a read of all, and at worst the files of a few more agents are checked.
const SLOTS: usize = 4_096;

/// A record of the round in which each agent's persona was last read.
pub(crate) struct RecentReads {
    round: AtomicU64,
    slots: Box<[AtomicU64]>,
    /// The agents whose persona may be in memory.
    cached: Mutex<BTreeSet<AgentId>>,
}

/// The agents whose persona may be in memory when a round begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// The agents that were read within the given number of rounds.
    pub(crate) recent: Vec<AgentId>,
    /// All other agents. They are no longer tracked.
    pub(crate) idle: Vec<AgentId>,
}

impl Default for RecentReads {
    fn default() -> Self {
        Self {
            round: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            cached: Mutex::default(),
        }
    }
}

// All orderings are `Relaxed`, because no other memory is published through these numbers. A read
// that races with the beginning of a round counts for either round, and both are correct.
impl RecentReads {
    fn slot(&self, id: AgentId) -> &AtomicU64 {
        // Stores assign ids in sequence, so up to `SLOTS` agents do not share slots.
        &self.slots[usize::try_from(id.0.unsigned_abs()).unwrap_or_default() % SLOTS]
    }

    /// Records a read of the agent's persona. Every hit calls it, so it must be cheap.
    pub(crate) fn touch(&self, id: AgentId) {
        let (slot, round) = (self.slot(id), self.round.load(Ordering::Relaxed));
        // Only the first read of a round writes, so that hits don't contend for the cache line.
        if slot.load(Ordering::Relaxed) != round {
            slot.store(round, Ordering::Relaxed);
        }
    }

    /// Records that the agent's persona is about to be cached.
    pub(crate) fn track(&self, id: AgentId) {
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
    }

    /// Begins a round. Returns agents that were read within the last `rounds` rounds as recent, and
    /// stops tracking all others.
    pub(crate) fn next_round(&self, rounds: u64) -> Round {
        let now = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let (recent, idle): (Vec<_>, Vec<_>) = cached
            .iter()
            .copied()
            .partition(|id| self.slot(*id).load(Ordering::Relaxed) + rounds >= now);
        for id in &idle {
            cached.remove(id);
        }
        Round { recent, idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_was_not_read_for_some_rounds_is_reported_once_as_idle() {
        let reads = RecentReads::default();
        let (a, b) = (AgentId(1), AgentId(2));
        let round = |recent: &[AgentId], idle: &[AgentId]| Round {
            recent: recent.to_vec(),
            idle: idle.to_vec(),
        };
        for id in [a, b] {
            reads.track(id);
        }
        for _ in 0..3 {
            reads.touch(a);
            assert_eq!(reads.next_round(3), round(&[a, b], &[]));
        }
        reads.touch(a);
        assert_eq!(reads.next_round(3), round(&[a], &[b]));
        assert_eq!(reads.next_round(3), round(&[a], &[]));
    }
}
