//! The names of an agent's files and of their fields.

/// The file with an agent's id, description and settings.
pub(crate) const AGENT: &str = "agent.yaml";
/// The file with an agent's recent events and long-term memories.
pub(crate) const MEMORY: &str = "memory.yaml";
/// The file with a group's default settings for its agents.
pub(crate) const GROUP: &str = "group.yaml";

/// The version of the format of written files. A file without the field `schema` has version 1.
pub(crate) const VERSION: i64 = 1;
/// The greatest id. Many JSON parsers store numbers as `f64`, and round greater integers.
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

/// The texts of an agent's files. The text of a missing file is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) agent: String,
    pub(crate) memory: String,
    pub(crate) group: String,
}

/// An agent's id and persona, parsed from its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Persona {
    /// The id in `agent.yaml`. `None` if the file contains no id.
    pub(crate) id: Option<i64>,
    pub(crate) config: domain::AgentConfig,
}
