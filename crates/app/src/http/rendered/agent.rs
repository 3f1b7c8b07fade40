//! Renders agents: one agent, lists of agents, and the members of a room.

use std::sync::Arc;

use domain::{Agent, AgentConfig, Member, Result, RoomId, Session};

use super::{
    super::wire::AgentFields,
    agent_set::{AgentSet, distinct},
    json::{Json, open_object, write},
    renderer::Renderer,
};
use crate::render_cache::{Key, Sources, is_same};

impl Renderer<'_> {
    /// Returns the agents as a JSON array, in the given order. An agent without a persona is left
    /// out, because it was deleted after `agents` was read.
    pub(crate) async fn agents(&self, agents: Vec<Arc<Agent>>) -> Result<Json> {
        let agents = AgentSet::with_personas(self.ports, agents).await?;
        let write = |(agent, persona): (&_, &_), text: &mut _| {
            self.write_agent(agent, persona, None, text);
        };
        Ok(Json::array(agents.living(), 0, write))
    }

    /// Returns one agent as JSON; `None` if the agent was deleted after it was read.
    pub(crate) async fn agent(&self, agent: Arc<Agent>) -> Result<Option<Json>> {
        let agents = AgentSet::with_personas(self.ports, vec![agent]).await?;
        let found = agents.living().next();
        Ok(found.map(|(agent, persona)| {
            let mut text = Vec::new();
            self.write_agent(agent, persona, None, &mut text);
            Json::from_text(text)
        }))
    }

    /// Returns the agents of a room as a JSON array, in the order in which they joined, with their
    /// sessions in the room. Deleted agents are left out.
    pub(crate) async fn members(&self, room: RoomId) -> Result<Json> {
        let members = self.ports.rooms.members(room).await?;
        let sessions = self.ports.sessions.list(room).await?;
        let ids = distinct(members.iter().map(|member| member.agent));
        let agents = AgentSet::read(self.ports, &ids).await?;
        Ok(self.joined_members(&members, &sessions, &agents))
    }

    /// Renders the members as a JSON array. `agents` must contain at least the members.
    pub(super) fn joined_members(
        &self,
        members: &[Member],
        sessions: &[Session],
        agents: &AgentSet,
    ) -> Json {
        let living = members
            .iter()
            .filter_map(|member| agents.find_living(member.agent));
        Json::array(living, 0, |(agent, persona), text| {
            let session = sessions.iter().find(|session| session.agent == agent.id);
            let session = session.map(|session| session.session_id.as_str());
            self.write_agent(agent, persona, session, text);
        })
    }

    fn write_agent(
        &self,
        agent: &Arc<Agent>,
        persona: &Arc<AgentConfig>,
        session_id: Option<&str>,
        text: &mut Vec<u8>,
    ) {
        let is_current = |sources: &Sources| {
            matches!(sources, Sources::Agent(source, source_persona)
                if is_same(source, agent) && is_same(source_persona, persona))
        };
        let own = self.part(
            Key::Agent(agent.id),
            is_current,
            || Sources::Agent(Arc::downgrade(agent), Arc::downgrade(persona)),
            || open_object(&AgentFields::new(agent, persona)),
        );
        text.extend_from_slice(&own);
        text.extend_from_slice(b",\"session_id\":");
        write(text, &session_id);
        text.push(b'}');
    }
}
