//! Which agents' personas were read lately: at the price of a look at a number per read.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::AgentId;

/// Agents that share a slot count as read with each other.
const SLOTS: usize = 4_096;

/// Counts rounds, and remembers in which one each agent was last read.
pub(crate) struct ReadLately {
    round: AtomicU64,
    slots: Box<[AtomicU64]>,
    /// Those whose persona may be in memory.
    kept: Mutex<BTreeSet<AgentId>>,
}

impl Default for ReadLately {
    fn default() -> Self {
        Self {
            round: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            kept: Mutex::default(),
        }
    }
}

impl ReadLately {
    fn slot(&self, id: AgentId) -> &AtomicU64 {
        // Ids are counted up, so neighbours have slots of their own.
        &self.slots[usize::try_from(id.0.unsigned_abs()).unwrap_or_default() % SLOTS]
    }

    /// The hit path: writes once per agent and round.
    pub(crate) fn read(&self, id: AgentId) {
        let (slot, round) = (self.slot(id), self.round.load(Ordering::Relaxed));
        if slot.load(Ordering::Relaxed) != round {
            slot.store(round, Ordering::Relaxed);
        }
    }

    /// Said before a persona comes into memory.
    pub(crate) fn keep(&self, id: AgentId) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
    }

    /// Begins a round. Of those in memory: the ones read within the last `rounds`, and the others, which are forgotten.
    pub(crate) fn next_round(&self, rounds: u64) -> (Vec<AgentId>, Vec<AgentId>) {
        let now = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (lately, idle) = kept
            .iter()
            .copied()
            .partition(|id| self.slot(*id).load(Ordering::Relaxed) + rounds >= now);
        kept.retain(|id| self.slot(*id).load(Ordering::Relaxed) + rounds >= now);
        (lately, idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_read_for_some_rounds_is_told_once_as_idle() {
        let lately = ReadLately::default();
        let (a, b) = (AgentId(1), AgentId(2));
        for id in [a, b] {
            lately.keep(id);
        }
        for _ in 0..3 {
            lately.read(a);
            assert_eq!(lately.next_round(3), (vec![a, b], vec![]));
        }
        lately.read(a);
        assert_eq!(lately.next_round(3), (vec![a], vec![b]));
        assert_eq!(lately.next_round(3), (vec![a], vec![]));
    }
}
