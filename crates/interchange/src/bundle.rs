//! Agents and groups with their files, as they are converted.

use domain::{AgentConfig, AgentName, GroupDefaults, GroupName};

/// An agent with its persona and the other files in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentBundle {
    /// The agent's group; `None` for an agent without one.
    pub group: Option<GroupName>,
    /// The agent's name.
    pub name: AgentName,
    /// The agent's persona. Its `profile_pic` is the name of one of `files`.
    pub config: AgentConfig,
    /// The agent's pictures and other files, each as its name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A group with its defaults and the other files in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBundle {
    /// The group's name.
    pub name: GroupName,
    /// The group's defaults; `None` if it has no file for them.
    pub defaults: Option<GroupDefaults>,
    /// The group's other files, each as its name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}
