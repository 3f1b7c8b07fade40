//! Groups of agents.

/// The values that a group sets for those of its agents that do not set them themselves. `None`
/// leaves an agent with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDefaults {
    /// See [`AgentConfig::interrupt_every_turn`](crate::AgentConfig::interrupt_every_turn).
    pub interrupt_every_turn: Option<bool>,
    /// See [`AgentConfig::priority`](crate::AgentConfig::priority).
    pub priority: Option<i32>,
    /// See [`AgentConfig::transparent`](crate::AgentConfig::transparent).
    pub transparent: Option<bool>,
}
