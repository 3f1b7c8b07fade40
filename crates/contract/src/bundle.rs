//! Creation of a bundle in which one value implements every port.

use std::sync::Arc;

use domain::{
    AgentConfigs, AgentFiles, Agents, Health, Memories, Messages, ReadPositions, Repositories,
    Rooms, Sessions, Settle, UsageLog,
};

/// Returns a bundle in which `store` implements every port except `files`.
pub(crate) fn bundle<S>(store: &Arc<S>, files: Arc<dyn AgentFiles>) -> Repositories
where
    S: Agents
        + AgentConfigs
        + Memories
        + Rooms
        + Messages
        + ReadPositions
        + Sessions
        + UsageLog
        + Settle
        + Health
        + 'static,
{
    Repositories {
        agents: store.clone(),
        configs: store.clone(),
        files,
        memories: store.clone(),
        rooms: store.clone(),
        messages: store.clone(),
        read_positions: store.clone(),
        sessions: store.clone(),
        usage: store.clone(),
        settle: store.clone(),
        health: store.clone(),
    }
}
