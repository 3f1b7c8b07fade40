//! A round: each agent of a room has its turn.

use domain::AgentId;
use futures_util::future::join_all;

use super::{engine::Engine, rules, scene::Scene, stop::StopSignals, turn::take_turn};

/// One round in one room.
pub(super) struct Round<'a> {
    pub(super) engine: &'a Engine,
    pub(super) scene: &'a Scene,
    pub(super) stop: StopSignals,
}

impl Round<'_> {
    /// Gives each agent its turn, in the order of [`rules::order`]. Critics have their turns last.
    ///
    /// Returns `true` if an agent other than a critic spoke.
    pub(super) async fn run(&self, mentioned: &[AgentId]) -> domain::Result<bool> {
        let speakers = &self.scene.speakers;
        let mut has_spoken = false;
        for group in rules::order(speakers, mentioned) {
            let spoke = self.turns(&group).await?;
            has_spoken |= !spoke.is_empty();
            for interrupter in rules::interrupters(speakers, &spoke) {
                has_spoken |= self.turn(interrupter).await?;
            }
        }
        self.turns(&rules::critics(speakers)).await?;
        Ok(has_spoken)
    }

    /// Gives several agents their turns at the same time. Returns the agents that spoke.
    ///
    /// An error of the store is returned only after all turns have ended, because a turn that is
    /// dropped midway could lose an answer.
    async fn turns(&self, agents: &[AgentId]) -> domain::Result<Vec<AgentId>> {
        let results = join_all(agents.iter().map(|agent| self.turn(*agent))).await;
        let spoke = results.into_iter().collect::<domain::Result<Vec<_>>>()?;
        let agents = agents.iter().zip(spoke);
        Ok(agents
            .filter_map(|(agent, spoke)| spoke.then_some(*agent))
            .collect())
    }

    async fn turn(&self, agent: AgentId) -> domain::Result<bool> {
        take_turn(self.engine, self.scene, agent, &self.stop).await
    }
}
