//! [`LawRun`], one run of a law: the ports, unique names, and helpers that write and read rows.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    Activity, Agent, AgentConfig, AgentId, AgentName, LIST_LIMIT, Message, NewAgent, NewMessage,
    NewRoom, Repositories, Room, RoomId, RoomName, UserId,
};
use futures_util::future::join_all;

use crate::law::Breach;

use super::ensure::{NO_LIMIT, Outcome, START, ensure_eq, ensure_some};

/// Runs each call in a task of its own, and returns the results in the order of the calls. On a
/// runtime with several threads, the calls run in parallel.
pub(super) async fn in_tasks<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Outcome<Vec<T>> {
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let results = join_all(tasks).await.into_iter();
    let ended = results.map(|result| {
        result.map_err(|error| Breach::new(format_args!("a call did not end: {error}")))
    });
    ended.collect()
}

/// One run of a law over a backend.
///
/// Laws run concurrently, repeatedly, and on stores in use. So each run has a unique tag, from
/// which it derives all names.
#[derive(Clone)]
pub(super) struct LawRun {
    pub(super) ports: Repositories,
    tag: String,
}

impl LawRun {
    pub(super) fn new(law: &str, ports: Repositories) -> Self {
        // The start time differs between two processes, and the counter between two runs in one
        // process.
        static STARTED: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_micros());
        static RUNS: AtomicU64 = AtomicU64::new(0);
        // Relaxed: the counter only has to return distinct numbers and orders nothing else.
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        // With at most 40 characters of the law's name, the longest name is within the limits of
        // `domain::names`.
        let law: String = law.chars().take(40).collect();
        let law = law.replace('_', "-");
        Self {
            ports,
            tag: format!("{law}-{:x}-{run:x}", *STARTED),
        }
    }

    /// Returns a user whose id begins with `prefix`.
    pub(super) fn user(&self, prefix: &str) -> Outcome<UserId> {
        Ok(UserId::parse(&format!("{prefix}-{}", self.tag))?)
    }

    /// Returns the user who owns the rooms of this run.
    pub(super) fn owner(&self) -> Outcome<UserId> {
        self.user("owner")
    }

    pub(super) fn agent_name(&self, prefix: &str) -> Outcome<AgentName> {
        Ok(AgentName::parse(&format!("{prefix} {}", self.tag))?)
    }

    pub(super) fn room_name(&self, prefix: &str) -> Outcome<RoomName> {
        Ok(RoomName::parse(&format!("{prefix} {}", self.tag))?)
    }

    pub(super) fn new_agent(&self, prefix: &str) -> Outcome<NewAgent> {
        let config = AgentConfig {
            in_a_nutshell: format!("{prefix} in brief"),
            ..AgentConfig::default()
        };
        Ok(NewAgent {
            name: self.agent_name(prefix)?,
            group: None,
            config,
            picture: None,
        })
    }

    pub(super) async fn create_agent(&self, prefix: &str) -> Outcome<Arc<Agent>> {
        Ok(self.ports.agents.create(self.new_agent(prefix)?).await?)
    }

    /// Creates an agent, deletes it, and returns it as it was before the deletion.
    pub(super) async fn create_deleted_agent(&self, prefix: &str) -> Outcome<Arc<Agent>> {
        let agent = self.create_agent(prefix).await?;
        self.ports.agents.delete(agent.id).await?;
        Ok(agent)
    }

    pub(super) fn new_room(&self, prefix: &str) -> Outcome<NewRoom> {
        Ok(NewRoom {
            owner: self.owner()?,
            name: self.room_name(prefix)?,
            max_interactions: None,
        })
    }

    pub(super) async fn create_room(&self, prefix: &str) -> Outcome<Arc<Room>> {
        Ok(self.ports.rooms.create(self.new_room(prefix)?).await?)
    }

    pub(super) async fn create_deleted_room(&self, prefix: &str) -> Outcome<RoomId> {
        let room = self.create_room(prefix).await?;
        self.ports.rooms.delete(room.id).await?;
        Ok(room.id)
    }

    /// Appends a user's message.
    pub(super) async fn say(&self, room: RoomId, text: &str) -> Outcome<Arc<Message>> {
        let new = NewMessage::from_user(room, text);
        Ok(self.ports.messages.append(new).await?)
    }

    /// Appends `count` messages of a user.
    pub(super) async fn say_many(&self, room: RoomId, count: usize) -> Outcome<Vec<Arc<Message>>> {
        let mut messages = Vec::new();
        for n in 0..count {
            messages.push(self.say(room, &format!("message {n}")).await?);
        }
        Ok(messages)
    }

    /// Appends an agent's message.
    pub(super) async fn answer(
        &self,
        room: RoomId,
        agent: AgentId,
        text: &str,
    ) -> Outcome<Arc<Message>> {
        let new = NewMessage::from_agent(room, agent, text);
        Ok(self.ports.messages.append(new).await?)
    }

    /// Reads the whole log with two methods. Returns a breach if their results differ.
    pub(super) async fn log(&self, room: RoomId) -> Outcome<Vec<Arc<Message>>> {
        let log = self.ports.messages.recent(room, None, NO_LIMIT).await?;
        ensure_eq(
            "the log that since returns, compared with recent,",
            &self.ports.messages.since(room, START, NO_LIMIT).await?,
            &log,
        )?;
        Ok(log.to_vec())
    }

    /// Reads the texts of the whole log.
    pub(super) async fn texts(&self, room: RoomId) -> Outcome<Vec<String>> {
        let log = self.log(room).await?;
        Ok(log.iter().map(|message| message.content.clone()).collect())
    }

    pub(super) async fn activity(&self, room: RoomId) -> Outcome<Arc<Activity>> {
        let activity = self.ports.rooms.activity(room).await?;
        ensure_some("the activity of an existing room", activity)
    }

    pub(super) async fn members(&self, room: RoomId) -> Outcome<Vec<AgentId>> {
        let members = self.ports.rooms.members(room).await?;
        Ok(members.iter().map(|member| member.agent).collect())
    }

    /// Reads a living agent's persona with two methods. Returns a breach if their results differ.
    pub(super) async fn persona(&self, agent: AgentId) -> Outcome<Arc<AgentConfig>> {
        let found = self.ports.configs.find(agent).await?;
        let config = ensure_some("the persona of a living agent", found)?;
        ensure_eq(
            "the persona found among many",
            &self.ports.configs.find_many(&[agent]).await?,
            &vec![(agent, config.clone())],
        )?;
        Ok(config)
    }

    /// Reads the row of a living or deleted agent.
    pub(super) async fn agent_row(&self, agent: AgentId) -> Outcome<Arc<Agent>> {
        let found = self.ports.agents.find_many(&[agent]).await?.pop();
        ensure_some("a created agent", found)
    }

    /// Counts the living agents with this name.
    pub(super) async fn count_agents_named(&self, name: &AgentName) -> Outcome<usize> {
        let agents = self.ports.agents.list(None, LIST_LIMIT).await?;
        Ok(agents.iter().filter(|agent| agent.name == *name).count())
    }
}
