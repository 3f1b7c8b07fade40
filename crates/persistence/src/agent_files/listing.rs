//! The list of agents' folders, and the rules that keep agents and groups apart.
//!
//! A folder directly inside the agents' folder is an agent if it contains an `agent.yaml`, and a
//! group if it contains agents' folders. A person can make a folder that is both. Its agents stay
//! usable, but no change moves such a folder, because the move would also move other agents.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
};

use domain::{AgentName, Error, GroupName, Result};

use super::{
    disk::{is_missing, unavailable},
    folder::AgentsFolder,
    layout::{CHANGE, LOST_AND_FOUND},
    path::AgentPath,
};
use crate::yaml::AGENT;

/// The agents' folders, and the problems that were found while they were listed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The folders that contain an `agent.yaml`, valid or not, sorted by name.
    pub(crate) agents: Vec<AgentPath>,
    /// The problems, sorted by the names of the folders.
    pub(crate) problems: Vec<FolderProblem>,
}

/// A problem with a folder, such as an invalid name or a missing permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FolderProblem {
    /// The path of the folder, relative to the agents' folder.
    pub(crate) folder: String,
    pub(crate) text: String,
}

impl Listing {
    fn report(&mut self, folder: impl Into<String>, why: impl Display, remedy: &str) {
        let folder = folder.into();
        let text = format!("{folder:?}: {why}: {remedy}");
        self.problems.push(FolderProblem { folder, text });
    }

    /// Adds the agent's folder `name`. If the name is not valid, adds a problem.
    fn add(&mut self, group: Option<&GroupName>, name: &str) {
        match exact_name::<AgentName>(name) {
            Ok(name) => self.agents.push(AgentPath {
                group: group.cloned(),
                name,
            }),
            Err(why) => {
                let folder = match group {
                    Some(group) => format!("{group}/{name}"),
                    None => name.to_owned(),
                };
                self.report(folder, why, "rename the folder");
            }
        }
    }
}

/// Parses the name of a folder. Fails if the parsed name differs from the folder's name, for
/// example because the folder's name ends with a space.
fn exact_name<T: FromStr<Err = Error> + Display>(name: &str) -> Result<T, String> {
    let parsed: T = name.parse().map_err(|error: Error| error.to_string())?;
    if parsed.to_string() == name {
        Ok(parsed)
    } else {
        Err("the name must not begin or end with white space".to_owned())
    }
}

impl AgentsFolder {
    /// Lists the agents' folders. A folder that cannot be read becomes a problem in the listing.
    pub(crate) fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for (name, folder) in self.visible_folders(self.root())? {
            if name != LOST_AND_FOUND {
                self.list_top(&mut listing, &name, &folder);
            }
        }
        listing
            .agents
            .sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.group.cmp(&b.group)));
        listing.problems.sort();
        Ok(listing)
    }

    /// Lists a folder that is directly inside the agents' folder.
    fn list_top(&self, listing: &mut Listing, name: &str, folder: &Path) {
        let is_agent = self.is_agent(folder);
        if is_agent {
            listing.add(None, name);
        }
        let members = match self.agents_in(folder) {
            Ok(members) => members,
            Err(error) => {
                let why = format!("the folder cannot be read: {error}");
                return listing.report(name, why, "let the server read it, or move it away");
            }
        };
        if members.is_empty() {
            return;
        }
        if is_agent {
            let why = format!(
                "the folder is an agent and a group of {}",
                members.join(", ")
            );
            listing.report(name, why, "move the agents of the group to another folder");
        }
        match exact_name(name) {
            Ok(group) => {
                for member in &members {
                    listing.add(Some(&group), member);
                }
            }
            Err(why) => listing.report(name, why, "rename the folder"),
        }
    }

    /// Returns the names of the agents' folders directly inside `folder`.
    fn agents_in(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        let folders = self.folders_in(folder)?.into_iter();
        let agents = folders.filter(|(_, folder)| self.is_agent(folder));
        Ok(agents.map(|(name, _)| name).collect())
    }

    /// Returns `true` if a folder contains an `agent.yaml`.
    fn is_agent(&self, folder: &Path) -> bool {
        self.disk.stat(&folder.join(AGENT)).is_ok()
            // A crash may have left the files of a new agent in a valid change that is not
            // completed.
            || (self.is_own_folder(&folder.join(CHANGE))
                && self.disk.stat(&folder.join(CHANGE).join(AGENT)).is_ok())
    }

    /// Returns `true` for a folder, and `false` for a link to one.
    pub(super) fn is_own_folder(&self, folder: &Path) -> bool {
        self.disk.stat(folder).is_ok()
            && folder
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_dir())
    }

    /// Returns the names and paths of the folders in `parent`, except hidden ones. Fails with
    /// `Unavailable` if `parent` cannot be read.
    pub(super) fn visible_folders(&self, parent: &Path) -> Result<Vec<(String, PathBuf)>> {
        self.folders_in(parent).map_err(unavailable(parent))
    }

    fn folders_in(&self, parent: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
        let entries = match self.disk.list(parent) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let folders = entries.into_iter().filter(|entry| entry.is_folder);
        let named = folders.filter_map(|entry| {
            let name = entry.path.file_name()?.to_str()?.to_owned();
            Some((name, entry.path))
        });
        Ok(named.filter(|(name, _)| !name.starts_with('.')).collect())
    }

    /// Fails with `Conflict` if an agent at `path` would make a folder both an agent and a group,
    /// or if its group's folder is a link out of the agents' folder.
    pub(crate) fn require_one_kind(&self, path: &AgentPath) -> Result<()> {
        match &path.group {
            Some(group) => {
                let folder = self.root().join(group.as_str());
                if self.is_agent(&folder) {
                    return Err(Error::Conflict(format!(
                        "{group} is an agent, so it cannot be a group: choose another group"
                    )));
                }
                if self.disk.stat(&folder).is_ok() {
                    self.require_inside(&folder)?;
                }
                Ok(())
            }
            None => match self.agents_in(&self.path_of(path)) {
                Ok(members) if !members.is_empty() => Err(Error::Conflict(format!(
                    "{} is a group, so it cannot be an agent: choose another name",
                    path.name
                ))),
                _ => Ok(()),
            },
        }
    }

    /// Fails with `Conflict` if an agent's folder contains the folders of other agents.
    pub(super) fn require_no_other_agents(&self, path: &AgentPath) -> Result<()> {
        // Folders inside the folder of a group's agent are never agents.
        if path.group.is_some() {
            return Ok(());
        }
        let folder = self.path_of(path);
        let members = self.agents_in(&folder).map_err(unavailable(&folder))?;
        if members.is_empty() {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "the folder of {} contains the agents {}: move them to another folder first",
            path.name,
            members.join(", ")
        )))
    }
}
