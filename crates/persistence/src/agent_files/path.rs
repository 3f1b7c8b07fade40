//! Paths of agents' folders inside the agents' folder.

use std::path::{Component, Path, PathBuf};

use domain::{Agent, AgentName, Error, GroupName, Result};

use crate::yaml::AGENT;

/// The path of an agent's folder, `[GROUP/]NAME`, relative to the agents' folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AgentPath {
    pub(crate) group: Option<GroupName>,
    pub(crate) name: AgentName,
}

impl AgentPath {
    /// Returns the path of a living agent's folder.
    pub(crate) fn of(agent: &Agent) -> Self {
        Self {
            group: agent.group.clone(),
            name: agent.name.clone(),
        }
    }

    /// Returns `[GROUP/]NAME` with the separators of the operating system.
    pub(crate) fn folder(&self) -> PathBuf {
        let mut folder = PathBuf::new();
        if let Some(group) = &self.group {
            folder.push(group.as_str());
        }
        folder.join(self.name.as_str())
    }

    /// Returns `[GROUP/]NAME/agent.yaml`, with slashes on every operating system.
    pub(crate) fn config_file(&self) -> String {
        match &self.group {
            Some(group) => format!("{group}/{}/{AGENT}", self.name),
            None => format!("{}/{AGENT}", self.name),
        }
    }

    /// Parses a path of the form that [`AgentPath::config_file`] returns. Fails with `Invalid` for
    /// any other path, such as one that leads out of the agents' folder.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let invalid = || {
            Error::Invalid(format!(
                "the path must have the form NAME/{AGENT} or GROUP/NAME/{AGENT}, \
                 relative to the agents' folder, got {path:?}"
            ))
        };
        let is_plain = Path::new(path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        // A backslash is a separator only on Windows. It is refused on every system, so that a path
        // is valid on all of them or on none.
        if path.contains('\\') || !is_plain {
            return Err(invalid());
        }
        let names: Vec<_> = path.split('/').collect();
        match names[..] {
            [name, AGENT] => Ok(Self {
                group: None,
                name: AgentName::parse(name)?,
            }),
            [group, name, AGENT] => Ok(Self {
                group: Some(GroupName::parse(group)?),
                name: AgentName::parse(name)?,
            }),
            _ => Err(invalid()),
        }
    }
}
