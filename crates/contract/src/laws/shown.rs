//! Checks that all methods which read an agent or a room return the same row.

use std::sync::Arc;

use domain::{Agent, LIST_LIMIT, Room, RoomId, UserId};

use super::{
    ensure::{Outcome, ensure, ensure_eq},
    law_run::LawRun,
};

impl LawRun {
    /// Returns a breach unless all reads return `agent` if it is living, and only `find_many` if it
    /// is deleted.
    pub(super) async fn ensure_agent_shown(&self, agent: &Arc<Agent>) -> Outcome {
        let agents = &self.ports.agents;
        let living = agent.is_living().then(|| agent.clone());
        ensure_eq(
            "the agent that find returns",
            &agents.find(agent.id).await?,
            &living,
        )?;
        ensure_eq(
            "the agent that find_many returns",
            &agents.find_many(&[agent.id]).await?,
            &vec![agent.clone()],
        )?;
        let list = agents.list(None, LIST_LIMIT).await?;
        let listed = list.into_iter().find(|other| other.id == agent.id);
        ensure_eq("the agent that list returns", &listed, &living)
    }

    /// Returns a breach unless all methods that read rooms return `room`.
    pub(super) async fn ensure_room_shown(&self, room: &Arc<Room>) -> Outcome {
        let rooms = &self.ports.rooms;
        let shown = Some(room.clone());
        let pick = |list: Vec<Arc<Room>>| list.into_iter().find(|other| other.id == room.id);
        ensure_eq(
            "the room that find returns",
            &rooms.find(room.id).await?,
            &shown,
        )?;
        ensure_eq(
            "the room that find_many returns",
            &rooms.find_many(&[room.id]).await?,
            &vec![room.clone()],
        )?;
        ensure_eq(
            "the room that list returns",
            &pick(rooms.list(None, LIST_LIMIT).await?),
            &shown,
        )?;
        ensure_eq(
            "the room that list_by_owner returns",
            &pick(rooms.list_by_owner(&room.owner, None, LIST_LIMIT).await?),
            &shown,
        )?;
        if let Some(agent) = room.direct_agent {
            ensure_eq(
                "the room that find_direct returns",
                &rooms.find_direct(&room.owner, agent).await?,
                &shown,
            )?;
        }
        Ok(())
    }

    /// Returns a breach if any read returns the room, or a row that belonged to the room.
    pub(super) async fn ensure_room_hidden(&self, id: RoomId, owner: &UserId) -> Outcome {
        let rooms = &self.ports.rooms;
        let contains = |list: Vec<Arc<Room>>| list.iter().any(|room| room.id == id);
        ensure_eq(
            "the missing room that find returns",
            &rooms.find(id).await?,
            &None,
        )?;
        ensure_eq(
            "the missing room that find_many returns",
            &rooms.find_many(&[id]).await?,
            &vec![],
        )?;
        ensure(
            !contains(rooms.list(None, LIST_LIMIT).await?),
            "list shows a missing room",
        )?;
        ensure(
            !contains(rooms.list_by_owner(owner, None, LIST_LIMIT).await?),
            "list_by_owner shows a missing room",
        )?;
        ensure_eq(
            "the members of a missing room",
            &self.members(id).await?,
            &vec![],
        )?;
        ensure_eq(
            "the activity of a missing room",
            &rooms.activity(id).await?,
            &None,
        )?;
        ensure_eq(
            "the activities of a missing room",
            &rooms.activities(&[id]).await?,
            &vec![],
        )?;
        ensure_eq("the log of a missing room", &self.log(id).await?, &vec![])?;
        let positions = &self.ports.read_positions;
        ensure_eq(
            "the read position in a missing room",
            &positions.find(owner, id).await?,
            &None,
        )?;
        ensure_eq(
            "the read positions in a missing room",
            &positions.find_many(owner, &[id]).await?,
            &vec![],
        )?;
        ensure(
            self.ports.sessions.list(id).await?.is_empty(),
            "a missing room has sessions",
        )
    }
}
