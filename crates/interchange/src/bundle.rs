//! Agents and groups with the files beside them.

use domain::{AgentConfig, AgentName, GroupDefaults, GroupName};

/// An agent with its persona and the files beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentBundle {
    /// Its group.
    pub group: Option<GroupName>,
    /// Its name.
    pub name: AgentName,
    /// Its persona. `profile_pic` names one of the files.
    pub config: AgentConfig,
    /// Pictures and other files, each a name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A group with its defaults and the files beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBundle {
    /// Its name.
    pub name: GroupName,
    /// Its defaults; `None` if it has no file for them.
    pub defaults: Option<GroupDefaults>,
    /// Other files, each a name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}
