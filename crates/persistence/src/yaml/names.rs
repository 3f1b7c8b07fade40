//! The names of the files and of their fields.

/// The file that says who an agent is.
pub(crate) const AGENT: &str = "agent.yaml";
/// The file that says what an agent remembers.
pub(crate) const MEMORY: &str = "memory.yaml";
/// The file that says what a group sets for its agents.
pub(crate) const GROUP: &str = "group.yaml";

/// The version of the format that is written. Files without a version are of version 1.
pub(crate) const VERSION: i64 = 1;
/// The greatest id. JSON readers lose digits of greater numbers.
pub(crate) const MAX_ID: i64 = (1 << 53) - 1;

#[rustfmt::skip] // In the order of the schema.
pub(crate) const AGENT_FIELDS: [&str; 9] = [
    "schema", "id", "in_a_nutshell", "characteristics", "is_critic", "interrupt_every_turn",
    "priority", "transparent", "profile_pic",
];
pub(crate) const MEMORY_FIELDS: [&str; 3] = ["schema", "recent_events", "long_term_memories"];
pub(crate) const EVENT_FIELDS: [&str; 2] = ["date", "text"];
pub(crate) const LONG_TERM_FIELDS: [&str; 2] = ["title", "text"];
pub(crate) const GROUP_FIELDS: [&str; 4] =
    ["schema", "interrupt_every_turn", "priority", "transparent"];

/// The texts of an agent's files; empty for files that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) agent: String,
    pub(crate) memory: String,
    pub(crate) group: String,
}

/// An agent's id and persona, as its files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Persona {
    /// The id in `agent.yaml`; `None` until the agent is stored.
    pub(crate) id: Option<i64>,
    pub(crate) config: domain::AgentConfig,
}
