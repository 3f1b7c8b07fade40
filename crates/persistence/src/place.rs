//! Where an agent's files stand.

use std::path::{Component, Path, PathBuf};

use domain::{AgentName, Error, GroupName, Result};

use crate::yaml::AGENT;

/// `[GROUP/]NAME` inside the agents' folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) group: Option<GroupName>,
    pub(crate) name: AgentName,
}

impl Place {
    pub(crate) fn folder(&self) -> PathBuf {
        let base = self
            .group
            .as_ref()
            .map_or_else(PathBuf::new, |group| PathBuf::from(group.as_str()));
        base.join(self.name.as_str())
    }

    /// `[GROUP/]NAME/agent.yaml`, with slashes everywhere.
    pub(crate) fn config_file(&self) -> String {
        let group = self
            .group
            .as_ref()
            .map_or(String::new(), |group| format!("{group}/"));
        format!("{group}{}/{AGENT}", self.name)
    }

    /// The place of a path as [`Place::config_file`] gives it. A path that leads elsewhere is invalid.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let invalid = || {
            Error::Invalid(format!(
                "{path} is not the path of an agent's {AGENT}, relative to the agents' folder"
            ))
        };
        if path.contains('\\')
            || !Path::new(path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(invalid());
        }
        let parts: Vec<_> = path.split('/').collect();
        match parts[..] {
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
