//! Creation of a bundle in which one value implements every port.

use std::sync::Arc;

use domain::{
    AgentConfigs, AgentFiles, Agents, Health, Messages, ReadPositions, Repositories, Rooms,
    Sessions, Settle,
};

/// Returns a bundle in which `store` implements every port except `files`.
pub(crate) fn bundle<S>(store: &Arc<S>, files: Arc<dyn AgentFiles>) -> Repositories
where
    S: Agents
        + AgentConfigs
        + Rooms
        + Messages
        + ReadPositions
        + Sessions
        + Settle
        + Health
        + 'static,
{
    Repositories {
        agents: store.clone(),
        configs: store.clone(),
        files,
        rooms: store.clone(),
        messages: store.clone(),
        read_positions: store.clone(),
        sessions: store.clone(),
        settle: store.clone(),
        health: store.clone(),
    }
}
