//! [`Context`], the input of an agent's answer, read in one call.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Activity, Agent, AgentConfig, AgentId, Member, Message, RecentEvent, Repositories, Result,
    Room, RoomId,
};

/// The input of an agent's answer in a room.
///
/// The parts are read one after the other. Each part includes every acknowledged write, but the
/// parts together are not one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The room.
    pub room: Arc<Room>,
    /// The room's activity.
    pub activity: Arc<Activity>,
    /// The living members in the order of joining, including the agent that answers.
    pub members: Vec<(Member, Arc<Agent>)>,
    /// The persona of the agent that answers.
    pub config: Arc<AgentConfig>,
    /// The agent's memories of the rooms of this room's owner, oldest first.
    pub memories: Arc<[RecentEvent]>,
    /// The messages that the agent has not answered, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// The agent's session with its provider.
    pub session_id: Option<String>,
    /// The number of the agent's messages in the current log.
    pub answers: u64,
    /// The number of messages of all agents in the current log. [`Room::max_interactions`] limits
    /// it.
    pub all_answers: u64,
}

impl Repositories {
    /// Reads the input of an answer of `agent` in `room`, including the newest `limit` messages
    /// that the agent has not answered. Returns `None` if the room does not exist, or if the agent
    /// is deleted or not a member.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> domain::Result<()> {
    /// # use domain::{AgentConfig, AgentName, NewAgent, NewMessage, UserId};
    /// # let ports = contract::memory::repositories();
    /// # let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
    /// # let ada = NewAgent { name, group: None, config, picture: None };
    /// # let agent = ports.agents.create(ada).await?.id;
    /// let room = ports.rooms.create_direct(UserId::admin(), agent).await?.id;
    /// let message = ports.messages.append(NewMessage::from_user(room, "hello")).await?;
    /// let context = ports.context(room, agent, 10).await?.unwrap();
    /// assert_eq!(context.messages, [message]);
    /// # Ok(())
    /// # }
    /// ```
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
        let memories = self.memories.list(agent, &found.owner).await?;
        Ok(Some(Context {
            room: found,
            activity: self.rooms.activity(room).await?.unwrap_or_default(),
            members,
            config,
            memories,
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
