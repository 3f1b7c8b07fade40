//! Reading of the agents in an agents' folder.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{AgentConfig, AgentName, Error, GroupDefaults, GroupName, Result};

use super::files::failed;
use crate::{
    agent_files::{disk::RealDisk, folder::AgentsFolder, path::AgentPath},
    yaml::{self, AGENT, GROUP, MEMORY},
};

/// A reader of the agents and groups in an agents' folder.
pub struct AgentExport {
    folder: AgentsFolder,
}

/// An agent's name and the path of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEntry {
    /// The agent's group; `None` for an agent without one.
    pub group: Option<GroupName>,
    /// The agent's name.
    pub name: AgentName,
    /// The path of the agent's folder.
    pub path: PathBuf,
}

/// An agent's persona and the other files in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentContents {
    /// The persona. The group's defaults apply to the settings that `agent.yaml` does not contain.
    pub config: AgentConfig,
    /// The names of the settings that `agent.yaml` contains, and that the agent thus does not
    /// inherit.
    pub own_settings: Vec<&'static str>,
    /// The names of the files with comments, as far as can be told: `agent.yaml`, `memory.yaml`,
    /// both or none.
    pub commented: Vec<&'static str>,
    /// All other files except hidden ones, each as its name and bytes, sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// The names of the files that cannot be read, sorted.
    pub unreadable: Vec<String>,
}

/// A group's defaults and the other files in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupContents {
    /// The defaults. `None` if there is no `group.yaml`; without values if that file is not valid.
    pub defaults: Option<GroupDefaults>,
    /// All other files except hidden ones, each as its name and bytes, sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// The names of the files that cannot be read, sorted.
    pub unreadable: Vec<String>,
}

impl AgentExport {
    /// Opens an agents' folder. A folder that does not exist has no agents.
    pub fn open(folder: &Path) -> Self {
        Self {
            folder: AgentsFolder::new(folder, Arc::new(RealDisk)),
        }
    }

    /// Returns all agents, sorted by name. Agents whose files are not valid are included.
    pub fn agents(&self) -> Result<Vec<AgentEntry>> {
        let entry = |path: AgentPath| AgentEntry {
            path: self.folder.root().join(path.folder()),
            group: path.group,
            name: path.name,
        };
        Ok(self.folder.list()?.agents.into_iter().map(entry).collect())
    }

    /// Reads an agent. Returns `None` if the agent was removed after it was listed. Fails with
    /// [`Error::Invalid`] if its files are not a valid persona.
    pub fn read_agent(&self, entry: &AgentEntry) -> Result<Option<AgentContents>> {
        let path = AgentPath {
            group: entry.group.clone(),
            name: entry.name.clone(),
        };
        let Some(texts) = self.folder.texts(&path)? else {
            return Ok(None);
        };
        let persona = yaml::parse(&texts).map_err(Error::Invalid)?;
        let Files {
            mut files,
            unreadable,
        } = self.files(&entry.path)?;
        files.retain(|(name, _)| name != AGENT && name != MEMORY);
        let is_commented = |text: &str| {
            text.lines()
                .any(|line| line.contains("# ") && !line.starts_with("# yaml-language-server"))
        };
        Ok(Some(AgentContents {
            config: persona.config,
            own_settings: yaml::own_settings(&texts.agent),
            commented: [(AGENT, &texts.agent), (MEMORY, &texts.memory)]
                .into_iter()
                .filter(|(_, text)| is_commented(text))
                .map(|(name, _)| name)
                .collect(),
            files,
            unreadable,
        }))
    }

    /// Reads a group's defaults and its other files.
    pub fn read_group(&self, name: &GroupName) -> Result<GroupContents> {
        let Files {
            mut files,
            unreadable,
        } = self.files(&self.folder.root().join(name.as_str()))?;
        let settings = files.iter().position(|(name, _)| name == GROUP);
        let defaults = settings.map(|index| {
            let (_, bytes) = files.remove(index);
            yaml::parse_group(&String::from_utf8_lossy(&bytes)).unwrap_or_default()
        });
        Ok(GroupContents {
            defaults,
            files,
            unreadable,
        })
    }

    /// Reads the files in a folder, except hidden ones. Symbolic links are followed.
    fn files(&self, folder: &Path) -> Result<Files> {
        let mut found = Files::default();
        for entry in self.folder.disk.list(folder).map_err(failed(folder))? {
            let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || entry.is_folder {
                continue;
            }
            match self.folder.disk.read(&entry.path, MAX_FILE_BYTES) {
                Ok(bytes) => found.files.push((name.into_owned(), bytes)),
                Err(_) => found.unreadable.push(name.into_owned()),
            }
        }
        found.files.sort();
        found.unreadable.sort();
        Ok(found)
    }
}

/// The greatest size of a file that is exported.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The files in a folder.
#[derive(Default)]
struct Files {
    files: Vec<(String, Vec<u8>)>,
    /// The names of the files that cannot be read.
    unreadable: Vec<String>,
}
