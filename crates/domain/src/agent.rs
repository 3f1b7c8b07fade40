//! Agents: their identities, and their personas, which are read from files.

use crate::{AgentId, AgentName, GroupName, Timestamp};

/// An agent's identity. The agent's persona is an [`AgentConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The id, which is never reused.
    pub id: AgentId,
    /// The name, unique among living agents.
    pub name: AgentName,
    /// The group, whose folder contains the agent's folder.
    pub group: Option<GroupName>,
    /// The path of `agent.yaml`, relative to the agents' folder.
    pub config_file: String,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of deletion, if the agent was deleted. The row of a deleted agent is a tombstone.
    /// It is kept because old messages refer to it.
    pub deleted_at: Option<Timestamp>,
    /// The number of updates plus 1.
    pub version: u64,
}

impl Agent {
    /// Returns `true` unless the agent was deleted.
    pub fn is_living(&self) -> bool {
        self.deleted_at.is_none()
    }
}

/// The greatest number of recent events that an agent keeps. An append beyond this number removes
/// the oldest events. Otherwise, the cost of an append and the length of a prompt would grow
/// without bound.
pub const MAX_RECENT_EVENTS: usize = 1_000;

/// The greatest number of bytes of text in the recent events that an agent keeps.
pub const MAX_RECENT_BYTES: usize = 2 * 1024 * 1024;

/// An agent's persona, read from the agent's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentConfig {
    /// A short description of the agent.
    pub in_a_nutshell: String,
    /// The agent's character and way of speaking.
    pub characteristics: String,
    /// Recent events, oldest first.
    pub recent_events: Vec<RecentEvent>,
    /// Long-term memories. The agent asks for one by its title.
    pub long_term_memories: Vec<LongTermMemory>,
    /// `true` if the agent comments on the others instead of taking part.
    pub is_critic: bool,
    /// `true` if the agent answers every turn.
    pub interrupt_every_turn: bool,
    /// The rank in the order of answers: agents with a higher priority answer earlier.
    pub priority: i32,
    /// `true` if the other agents do not see this agent's messages.
    pub transparent: bool,
    /// The picture's file name in the agent's folder.
    pub profile_pic: Option<String>,
}

impl AgentConfig {
    /// Removes the oldest recent events beyond [`MAX_RECENT_EVENTS`] and [`MAX_RECENT_BYTES`], and
    /// returns them. The newest event stays, whatever its length.
    ///
    /// ```
    /// use domain::{AgentConfig, MAX_RECENT_EVENTS, RecentEvent};
    /// let event = RecentEvent { date: None, text: "It rained.".into() };
    /// let mut config = AgentConfig {
    ///     recent_events: vec![event; MAX_RECENT_EVENTS + 2],
    ///     ..AgentConfig::default()
    /// };
    /// assert_eq!(config.remove_oldest_events().len(), 2);
    /// ```
    pub fn remove_oldest_events(&mut self) -> Vec<RecentEvent> {
        let mut bytes = 0;
        let newest = self.recent_events.iter().rev().take(MAX_RECENT_EVENTS);
        let kept = newest.take_while(|event| {
            bytes += event.text.len();
            bytes <= MAX_RECENT_BYTES
        });
        let kept = kept.count().max(1).min(self.recent_events.len());
        let removed = self.recent_events.len() - kept;
        self.recent_events.drain(..removed).collect()
    }
}

/// A recent event in an agent's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentEvent {
    /// The day of the event, if it is known.
    pub date: Option<chrono::NaiveDate>,
    /// The event in one paragraph.
    pub text: String,
}

/// A memory that an agent keeps until it is edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongTermMemory {
    /// The title by which the agent asks for the memory.
    pub title: String,
    /// The text of the memory.
    pub text: String,
}

/// A picture to store with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    pub media_type: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// The values from which a new agent is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAgent {
    /// The name. It must not be the name of a living agent.
    pub name: AgentName,
    /// The group in which the agent is created.
    pub group: Option<GroupName>,
    /// The persona. The store ignores `profile_pic` and sets it from `picture`.
    pub config: AgentConfig,
    /// The picture.
    pub picture: Option<Picture>,
}

/// A change of an agent's identity and persona in one step. A field that is `None` is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is described in `Agent` or `AgentConfig`"
)]
pub struct AgentChange {
    pub name: Option<AgentName>,
    pub group: Option<Option<GroupName>>,
    pub in_a_nutshell: Option<String>,
    pub characteristics: Option<String>,
    pub recent_events: Option<Vec<RecentEvent>>,
    pub is_critic: Option<bool>,
    pub interrupt_every_turn: Option<bool>,
    pub priority: Option<i32>,
    pub transparent: Option<bool>,
    pub picture: Option<Picture>,
}

impl AgentChange {
    /// Sets the fields of `config` that the change contains, except `profile_pic`, which the store
    /// sets.
    pub fn apply_to(&self, config: &mut AgentConfig) {
        fn set<T: Clone>(field: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                field.clone_from(new);
            }
        }
        set(&mut config.in_a_nutshell, self.in_a_nutshell.as_ref());
        set(&mut config.characteristics, self.characteristics.as_ref());
        set(&mut config.recent_events, self.recent_events.as_ref());
        set(&mut config.is_critic, self.is_critic.as_ref());
        set(
            &mut config.interrupt_every_turn,
            self.interrupt_every_turn.as_ref(),
        );
        set(&mut config.priority, self.priority.as_ref());
        set(&mut config.transparent, self.transparent.as_ref());
    }
}

/// A problem with the files of a persona.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The agent's name, or its folder's name if there is no agent.
    pub name: String,
    /// The file, the line, the column and the field of the problem, and the expected value.
    pub text: String,
}

/// The location of a persona that the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The agent's name, which is its folder's name.
    pub name: AgentName,
    /// The path of `agent.yaml`, relative to the agents' folder.
    pub path: String,
}
