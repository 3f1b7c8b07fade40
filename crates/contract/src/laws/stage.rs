//! What every law needs: names of its own, quick ways to make things, and sentences for what is wrong.

use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::law::Breach;
use domain::{
    Activity, Agent, AgentConfig, AgentId, AgentName, Error, Message, MessageId, NewAgent,
    NewMessage, NewRoom, Repositories, Result, Room, RoomId, RoomName, UserId,
};

/// An id that nothing has.
pub(super) const NOBODY: AgentId = AgentId(i64::MAX - 7);
/// An id that nothing has.
pub(super) const NOWHERE: RoomId = RoomId(i64::MAX - 7);
/// Below all messages.
pub(super) const START: MessageId = MessageId(0);
/// More than any room holds.
pub(super) const ALL: usize = usize::MAX;

/// What a law finds.
pub(super) type Found<T = ()> = Result<T, Breach>;

/// A backend, and names that no other run of a law uses.
pub(super) struct Stage {
    pub(super) r: Repositories,
    tag: String,
}

impl Stage {
    pub(super) fn new(law: &str, r: Repositories) -> Self {
        static STARTED: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_micros());
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let law: String = law
            .chars()
            .take(40)
            .map(|c| if c == '_' { '-' } else { c })
            .collect();
        Self {
            r,
            tag: format!("{law}-{:x}-{run:x}", *STARTED),
        }
    }

    pub(super) fn user(&self, what: &str) -> Found<UserId> {
        Ok(UserId::parse(&format!("{what}-{}", self.tag))?)
    }

    pub(super) fn owner(&self) -> Found<UserId> {
        self.user("owner")
    }

    pub(super) fn agent_name(&self, what: &str) -> Found<AgentName> {
        Ok(AgentName::parse(&format!("{what} {}", self.tag))?)
    }

    pub(super) fn room_name(&self, what: &str) -> Found<RoomName> {
        Ok(RoomName::parse(&format!("{what} {}", self.tag))?)
    }

    pub(super) fn new_agent(&self, what: &str) -> Found<NewAgent> {
        let config = AgentConfig {
            in_a_nutshell: format!("{what} in brief"),
            ..AgentConfig::default()
        };
        Ok(NewAgent {
            name: self.agent_name(what)?,
            group: None,
            config,
            picture: None,
        })
    }

    pub(super) async fn agent(&self, what: &str) -> Found<Arc<Agent>> {
        Ok(self.r.agents.create(self.new_agent(what)?).await?)
    }

    pub(super) async fn deleted_agent(&self, what: &str) -> Found<Arc<Agent>> {
        let agent = self.agent(what).await?;
        self.r.agents.delete(agent.id).await?;
        Ok(agent)
    }

    pub(super) fn new_room(&self, what: &str) -> Found<NewRoom> {
        Ok(NewRoom {
            owner: self.owner()?,
            name: self.room_name(what)?,
            max_interactions: None,
        })
    }

    pub(super) async fn room(&self, what: &str) -> Found<Arc<Room>> {
        Ok(self.r.rooms.create(self.new_room(what)?).await?)
    }

    pub(super) async fn deleted_room(&self, what: &str) -> Found<RoomId> {
        let room = self.room(what).await?;
        self.r.rooms.delete(room.id).await?;
        Ok(room.id)
    }

    pub(super) async fn say(&self, room: RoomId, text: &str) -> Found<Arc<Message>> {
        Ok(self
            .r
            .messages
            .append(NewMessage::from_user(room, text))
            .await?)
    }

    pub(super) async fn answer(
        &self,
        room: RoomId,
        agent: AgentId,
        text: &str,
    ) -> Found<Arc<Message>> {
        Ok(self
            .r
            .messages
            .append(NewMessage::from_agent(room, agent, text))
            .await?)
    }

    /// `count` messages of a user.
    pub(super) async fn chat(&self, room: RoomId, count: usize) -> Found<Vec<Arc<Message>>> {
        let mut said = Vec::new();
        for n in 0..count {
            said.push(self.say(room, &format!("message {n}")).await?);
        }
        Ok(said)
    }

    /// The whole log, read in two ways that must agree.
    pub(super) async fn log(&self, room: RoomId) -> Found<Vec<Arc<Message>>> {
        let log = self.r.messages.recent(room, None, ALL).await?;
        same(
            "all messages since the start and all recent ones",
            &self.r.messages.since(room, START, ALL).await?,
            &log,
        )?;
        Ok(log.to_vec())
    }

    /// What the log says, without whom and when.
    pub(super) async fn texts(&self, room: RoomId) -> Found<Vec<String>> {
        Ok(self
            .log(room)
            .await?
            .iter()
            .map(|message| message.content.clone())
            .collect())
    }

    pub(super) async fn activity(&self, room: RoomId) -> Found<Arc<Activity>> {
        there(
            "the activity of a room that is there",
            self.r.rooms.activity(room).await?,
        )
    }

    pub(super) async fn members(&self, room: RoomId) -> Found<Vec<AgentId>> {
        Ok(self
            .r
            .rooms
            .members(room)
            .await?
            .iter()
            .map(|member| member.agent)
            .collect())
    }

    pub(super) async fn config(&self, agent: AgentId) -> Found<Arc<AgentConfig>> {
        let config = there(
            "the persona of a living agent",
            self.r.configs.find(agent).await?,
        )?;
        same(
            "the persona found among many",
            &self.r.configs.find_many(&[agent]).await?,
            &vec![(agent, config.clone())],
        )?;
        Ok(config)
    }

    /// The agent's row, living or deleted.
    pub(super) async fn row(&self, agent: AgentId) -> Found<Arc<Agent>> {
        there(
            "an agent that was made",
            self.r.agents.find_many(&[agent]).await?.pop(),
        )
    }

    /// Holds if every read shows `agent` as it is, living or deleted.
    pub(super) async fn shows_agent(&self, agent: &Arc<Agent>) -> Found {
        let living = agent.is_living().then(|| agent.clone());
        same(
            "the agent that find gives",
            &self.r.agents.find(agent.id).await?,
            &living,
        )?;
        same(
            "the agent that find_many gives",
            &self.r.agents.find_many(&[agent.id]).await?,
            &vec![agent.clone()],
        )?;
        let listed = self
            .r
            .agents
            .list()
            .await?
            .into_iter()
            .find(|other| other.id == agent.id);
        same("the agent that list gives", &listed, &living)
    }

    /// Holds if every read shows `room` as it is.
    pub(super) async fn shows_room(&self, room: &Arc<Room>) -> Found {
        let rooms = &self.r.rooms;
        let found = Some(room.clone());
        let picked = |list: Vec<Arc<Room>>| list.into_iter().find(|other| other.id == room.id);
        same(
            "the room that find gives",
            &rooms.find(room.id).await?,
            &found,
        )?;
        same(
            "the room that find_many gives",
            &rooms.find_many(&[room.id]).await?,
            &vec![room.clone()],
        )?;
        same(
            "the room that list gives",
            &picked(rooms.list().await?),
            &found,
        )?;
        same(
            "the room that list_by_owner gives",
            &picked(rooms.list_by_owner(&room.owner).await?),
            &found,
        )?;
        if let Some(agent) = room.direct_agent {
            same(
                "the room that find_direct gives",
                &rooms.find_direct(&room.owner, agent).await?,
                &found,
            )?;
        }
        Ok(())
    }

    /// Holds if no read shows the room or anything that was in it.
    pub(super) async fn hides_room(&self, id: RoomId, owner: &UserId) -> Found {
        let rooms = &self.r.rooms;
        let is_in = |list: Vec<Arc<Room>>| list.iter().any(|room| room.id == id);
        same(
            "a room that is not there, by find",
            &rooms.find(id).await?,
            &None,
        )?;
        same(
            "a room that is not there, by find_many",
            &rooms.find_many(&[id]).await?,
            &vec![],
        )?;
        ensure(
            !is_in(rooms.list().await?),
            "list shows a room that is not there",
        )?;
        ensure(
            !is_in(rooms.list_by_owner(owner).await?),
            "list_by_owner shows a room that is not there",
        )?;
        same(
            "the members of a room that is not there",
            &self.members(id).await?,
            &vec![],
        )?;
        same(
            "the activity of a room that is not there",
            &rooms.activity(id).await?,
            &None,
        )?;
        same(
            "the activities of a room that is not there",
            &rooms.activities(&[id]).await?,
            &vec![],
        )?;
        same(
            "the log of a room that is not there",
            &self.log(id).await?,
            &vec![],
        )?;
        same(
            "the read position in a room that is not there",
            &self.r.read_positions.find(owner, id).await?,
            &None,
        )?;
        same(
            "the read positions in a room that is not there",
            &self.r.read_positions.find_many(owner, &[id]).await?,
            &vec![],
        )?;
        ensure(
            self.r.sessions.list(id).await?.is_empty(),
            "a room that is not there has sessions",
        )
    }
}

/// Breaks the law unless `holds`.
#[track_caller]
pub(super) fn ensure(holds: bool, otherwise: impl fmt::Display) -> Found {
    if holds {
        Ok(())
    } else {
        Err(Breach::at(Location::caller(), otherwise))
    }
}

/// Breaks the law unless `got` is `wanted`.
#[track_caller]
pub(super) fn same<T: PartialEq + fmt::Debug>(what: &str, got: &T, wanted: &T) -> Found {
    if got == wanted {
        Ok(())
    } else {
        Err(Breach::at(
            Location::caller(),
            format!("{what} should be {wanted:?}, not {got:?}"),
        ))
    }
}

/// What is there.
#[track_caller]
pub(super) fn there<T>(what: &str, got: Option<T>) -> Found<T> {
    got.ok_or_else(|| Breach::at(Location::caller(), format!("{what} is not there")))
}

/// Breaks the law unless `outcome` is `Missing`.
#[track_caller]
pub(super) fn missing<T: fmt::Debug>(what: &str, outcome: Result<T>) -> Found {
    ensure(
        matches!(outcome, Err(Error::Missing { .. })),
        format!("{what} should be missing, not {outcome:?}"),
    )
}

/// Breaks the law unless `outcome` is `Conflict`.
#[track_caller]
pub(super) fn conflict<T: fmt::Debug>(what: &str, outcome: Result<T>) -> Found {
    ensure(
        matches!(outcome, Err(Error::Conflict(_))),
        format!("{what} should be a conflict, not {outcome:?}"),
    )
}

/// Breaks the law unless `outcome` is `Invalid`.
#[track_caller]
pub(super) fn invalid<T: fmt::Debug>(what: &str, outcome: Result<T>) -> Found {
    ensure(
        matches!(outcome, Err(Error::Invalid(_))),
        format!("{what} should be invalid, not {outcome:?}"),
    )
}
