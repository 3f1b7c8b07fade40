//! What an agent's answer needs, read in one call.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Activity, Agent, AgentConfig, AgentId, Member, Message, Repositories, Result, Room, RoomId,
};

/// What an agent's answer needs of its room. Read key by key: each part is as new as the last acknowledged write, but
/// together they are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The room.
    pub room: Arc<Room>,
    /// What changed of it last.
    pub activity: Arc<Activity>,
    /// The living agents in the room, by the time of joining, the answering one among them.
    pub members: Vec<(Member, Arc<Agent>)>,
    /// The persona of the answering agent.
    pub config: Arc<AgentConfig>,
    /// What the agent has not answered, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Its session with its provider.
    pub session_id: Option<String>,
    /// How often it answered so far.
    pub answers: u64,
    /// How often all agents answered so far, as [`Room::max_interactions`] counts.
    pub all_answers: u64,
}

impl Repositories {
    /// What `agent` needs to answer in `room`, with at most the newest `limit` unanswered messages; `None` if the room is
    /// gone, or the agent is not in it or deleted.
    pub async fn context(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Option<Context>> {
        let Some(found) = self.rooms.find(room).await? else {
            return Ok(None);
        };
        let joined = self.rooms.members(room).await?;
        let ids: Vec<_> = joined.iter().map(|member| member.agent).collect();
        let agents: HashMap<_, _> = self
            .agents
            .find_many(&ids)
            .await?
            .into_iter()
            .map(|agent| (agent.id, agent))
            .collect();
        let living = |member: &Member| {
            agents
                .get(&member.agent)
                .filter(|agent| agent.is_living())
                .map(|agent| (member.clone(), agent.clone()))
        };
        let members: Vec<_> = joined.iter().filter_map(living).collect();
        if members.iter().all(|(member, _)| member.agent != agent) {
            return Ok(None);
        }
        let Some(config) = self.configs.find(agent).await? else {
            return Ok(None);
        };
        let sessions = self.sessions.list(room).await?;
        let answers = self.messages.answer_counts(room).await?.unwrap_or_default();
        Ok(Some(Context {
            room: found,
            activity: self.rooms.activity(room).await?.unwrap_or_default(),
            members,
            config,
            messages: self.messages.since_answer(room, agent, limit).await?,
            session_id: sessions
                .iter()
                .find(|session| session.agent == agent)
                .map(|session| session.session_id.clone()),
            answers: answers.by_agent.get(&agent).copied().unwrap_or(0),
            all_answers: answers.by_agent.values().sum(),
        }))
    }
}
