//! Groups of agents.

/// The default values that a group sets for its agents. They apply to an agent whose files do not
/// set the field. If the group's field is `None`, too, the agent has the general default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDefaults {
    /// See [`AgentConfig::interrupt_every_turn`](crate::AgentConfig::interrupt_every_turn).
    pub interrupt_every_turn: Option<bool>,
    /// See [`AgentConfig::priority`](crate::AgentConfig::priority).
    pub priority: Option<i32>,
    /// See [`AgentConfig::transparent`](crate::AgentConfig::transparent).
    pub transparent: Option<bool>,
}
