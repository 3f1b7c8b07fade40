//! The messages about which each agent of a room was asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{AgentId, Seq};

/// For each agent, the sequence number of the last message to which it has responded by an answer,
/// by silence or by a failure.
///
/// Clones share the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompted(Arc<Mutex<Seqs>>);

#[derive(Debug, Default)]
struct Seqs {
    last: HashMap<AgentId, Seq>,
    /// The agents that could not be asked, because their model server did not answer or because
    /// there was no budget.
    without_model: HashSet<AgentId>,
    lacks_budget: bool,
}

impl Prompted {
    fn lock(&self) -> MutexGuard<'_, Seqs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the agent's sequence number; 0 if the agent has not responded yet.
    pub(super) fn get(&self, agent: AgentId) -> Seq {
        self.lock().last.get(&agent).copied().unwrap_or(Seq(0))
    }

    /// Adds the sequence numbers of `earlier`, of which this one is the continuation.
    pub(super) fn restore(&self, earlier: &Self) {
        let earlier = earlier.lock().last.clone();
        let mut seqs = self.lock();
        for (agent, seq) in earlier {
            seqs.last.entry(agent).or_insert(seq);
        }
    }

    /// Records that no budget allows an ask, or that one does. Returns what was recorded before.
    pub(super) fn set_lacks_budget(&self, lacks_budget: bool) -> bool {
        std::mem::replace(&mut self.lock().lacks_budget, lacks_budget)
    }

    /// Records that the agent has responded to this message, or cannot respond to it.
    pub(super) fn set(&self, agent: AgentId, seq: Seq) {
        let mut seqs = self.lock();
        seqs.last.insert(agent, seq);
        seqs.without_model.remove(&agent);
    }

    /// Records that the agent could not be asked about this message. It is not asked about it until
    /// [`Prompted::forget_outages`].
    pub(super) fn set_without_model(&self, agent: AgentId, seq: Seq) {
        let mut seqs = self.lock();
        seqs.last.insert(agent, seq);
        seqs.without_model.insert(agent);
    }

    /// Returns `true` if the model server of an agent did not answer.
    pub(super) fn has_outages(&self) -> bool {
        !self.lock().without_model.is_empty()
    }

    /// Forgets the sequence numbers of agents whose model server did not answer, so that they are
    /// asked again.
    pub(super) fn forget_outages(&self) {
        let mut seqs = self.lock();
        for agent in std::mem::take(&mut seqs.without_model) {
            seqs.last.remove(&agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_agents_without_a_model_are_asked_again_after_an_outage() {
        let prompted = Prompted::default();
        prompted.set(AgentId(1), Seq(5));
        prompted.set_without_model(AgentId(2), Seq(5));
        prompted.set_without_model(AgentId(3), Seq(5));
        prompted.set(AgentId(3), Seq(6));
        assert!(prompted.has_outages());
        prompted.forget_outages();
        let seqs = [1, 2, 3].map(|agent| prompted.get(AgentId(agent)));
        assert_eq!(seqs, [Seq(5), Seq(0), Seq(6)]);
        assert!(!prompted.has_outages());
    }
}
