//! Agents: who they are, and the persona that their files describe.

use crate::{AgentId, AgentName, GroupName, Timestamp};

/// An agent's identity. Its persona is an [`AgentConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Never used twice.
    pub id: AgentId,
    /// Unique among the living.
    pub name: AgentName,
    /// The group whose folder it stands in.
    pub group: Option<GroupName>,
    /// Its configuration file, relative to the agents' folder.
    pub config_file: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Set on a tombstone: history keeps who spoke.
    pub deleted_at: Option<Timestamp>,
    /// Raised by each update; the first is 1.
    pub version: u64,
}

impl Agent {
    /// Whether it was not deleted.
    pub fn is_living(&self) -> bool {
        self.deleted_at.is_none()
    }
}

/// An agent's persona, as its files give it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentConfig {
    /// Identity in brief.
    pub in_a_nutshell: String,
    /// How it is and speaks.
    pub characteristics: String,
    /// What happened lately, oldest first.
    pub recent_events: Vec<RecentEvent>,
    /// What it remembers for good.
    pub long_term_memories: Vec<LongTermMemory>,
    /// Whether it comments on the others instead of taking part.
    pub is_critic: bool,
    /// Whether it answers every turn.
    pub interrupt_every_turn: bool,
    /// Higher answers earlier.
    pub priority: i32,
    /// Whether the others do not see its messages.
    pub transparent: bool,
    /// The picture's file name inside the agent's folder.
    pub profile_pic: Option<String>,
}

/// Something that happened to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentEvent {
    /// The day, if it is known.
    pub date: Option<chrono::NaiveDate>,
    /// One paragraph.
    pub text: String,
}

/// Something an agent remembers for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongTermMemory {
    /// What it is recalled by.
    pub title: String,
    /// The memory.
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

/// An agent to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAgent {
    /// Must be free among the living.
    pub name: AgentName,
    /// The group to put it in.
    pub group: Option<GroupName>,
    /// Its persona; `profile_pic` is set by the store.
    pub config: AgentConfig,
    /// Its picture.
    pub picture: Option<Picture>,
}

/// What to change of an agent, identity and persona in one step. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of the same name")]
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
    /// Changes the persona's fields; the picture's file name is the store's to set.
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

/// What is wrong with the files of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The agent's name, or its folder's where there is no agent.
    pub name: String,
    /// The file, the line, the column, the field, what was expected.
    pub text: String,
}

/// A configuration that the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The agent's name, as its folder gives it.
    pub name: AgentName,
    /// Relative to the agents' folder.
    pub path: String,
}
