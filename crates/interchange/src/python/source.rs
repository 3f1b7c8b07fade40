//! Reading of agents and groups from the Python server's folders.

use std::path::{Path, PathBuf};

use domain::{AgentConfig, AgentName, GroupDefaults, GroupName, Result};

use super::{
    agent_reading::AgentReading,
    group_config::read_group_config,
    names::{CHARACTERISTICS, GROUP_CONFIG, GROUP_PREFIX, NUTSHELL, RESERVED},
};
use crate::{
    bundle::AgentBundle,
    files::{Entry, entries, failed, read},
    report::Report,
};

/// A listing of the agents and groups in a folder of the Python server. The agents are read one by
/// one, so that not all pictures are in memory at once.
#[derive(Clone, Debug)]
pub struct Source {
    groups: Vec<SourceGroup>,
    agents: Vec<SourceAgent>,
}

/// A group in a [`Source`].
#[derive(Clone, Debug)]
pub struct SourceGroup {
    /// The path of the group's folder.
    pub path: PathBuf,
    /// The group's name.
    pub name: GroupName,
    /// The defaults in the group's `group_config.yaml`.
    pub defaults: GroupDefaults,
    /// The names of the group's other files that can be imported.
    files: Vec<String>,
}

/// An agent in a [`Source`], not read yet.
#[derive(Clone, Debug)]
pub struct SourceAgent {
    /// The path of the agent's folder.
    pub path: PathBuf,
    /// The agent's group; `None` for an agent without one.
    pub group: Option<GroupName>,
    /// The name of the agent's folder, which may not be a valid agent name.
    folder: String,
}

impl Source {
    /// Lists the agents and groups in `folder`, or in its subfolder `agents` if there is one. Reads
    /// the defaults of the groups. Everything else in the folder becomes a line of the report.
    ///
    /// See the documentation of the crate for an example.
    pub fn open(folder: &Path, report: &mut Report) -> Result<Self> {
        let inside = folder.join("agents");
        let is_folder = inside.symlink_metadata().is_ok_and(|found| found.is_dir());
        let folder = if is_folder {
            inside
        } else {
            folder.to_path_buf()
        };
        let mut source = Self {
            groups: Vec::new(),
            agents: Vec::new(),
        };
        let listed = entries(&folder, report).map_err(failed(&folder))?;
        for Entry { name, is_folder } in listed {
            let path = folder.join(&name);
            match name.strip_prefix(GROUP_PREFIX) {
                _ if !is_folder => report.note(&path, "left out: not an agent's folder"),
                Some(group) => source.add_group(path, group, report),
                None => source.agents.push(SourceAgent {
                    path,
                    group: None,
                    folder: name,
                }),
            }
        }
        Ok(source)
    }

    /// Returns the groups, sorted by name.
    pub fn groups(&self) -> &[SourceGroup] {
        &self.groups
    }

    /// Returns the agents, sorted by the paths of their folders.
    pub fn agents(&self) -> &[SourceAgent] {
        &self.agents
    }

    fn add_group(&mut self, path: PathBuf, name: &str, report: &mut Report) {
        let Ok(name) = GroupName::parse(name) else {
            let reason = format!("left out with its agents: {name:?} is not a valid group name");
            report.note(&path, reason);
            return;
        };
        let listed = match entries(&path, report) {
            Ok(listed) => listed,
            Err(error) => {
                report.note(&path, format!("left out with its agents: {error}"));
                return;
            }
        };
        let mut group = SourceGroup {
            path,
            name,
            defaults: GroupDefaults::default(),
            files: Vec::new(),
        };
        for entry in listed {
            let path = group.path.join(&entry.name);
            if entry.is_folder {
                self.agents.push(SourceAgent {
                    path,
                    group: Some(group.name.clone()),
                    folder: entry.name,
                });
            } else if entry.name == GROUP_CONFIG {
                group.defaults = read_group_config(&path, report);
            } else if RESERVED.contains(&entry.name.as_str()) {
                report.note(&path, "left out: Greenroom uses this file name itself");
            } else {
                group.files.push(entry.name);
            }
        }
        self.groups.push(group);
    }
}

impl SourceGroup {
    /// Reads the group's files except `group_config.yaml`. Returns the name and the bytes of each.
    /// If a file cannot be read, adds a line to the report and leaves the file out.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// # std::fs::create_dir(theirs.join("group_g")).expect("a folder for the group");
    /// # std::fs::write(theirs.join("group_g/traits.yaml"), "a: b").expect("a file for the group");
    /// let mut report = interchange::Report::default();
    /// let source = interchange::python::Source::open(theirs, &mut report)?;
    /// let files = source.groups()[0].read_files(&mut report);
    /// assert_eq!(files, [("traits.yaml".to_owned(), b"a: b".to_vec())]);
    /// # Ok(()) }
    /// ```
    pub fn read_files(&self, report: &mut Report) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for name in &self.files {
            let path = self.path.join(name);
            match read(&path) {
                Ok(bytes) => files.push((name.clone(), bytes)),
                Err(error) => report.note(&path, format!("left out: {error}")),
            }
        }
        files
    }

    /// Returns the path of `group_config.yaml`.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// # std::fs::create_dir(theirs.join("group_g")).expect("a folder for the group");
    /// let source = interchange::python::Source::open(theirs, &mut Default::default())?;
    /// assert!(source.groups()[0].config_path().ends_with("group_g/group_config.yaml"));
    /// # Ok(()) }
    /// ```
    pub fn config_path(&self) -> PathBuf {
        self.path.join(GROUP_CONFIG)
    }
}

impl SourceAgent {
    /// Reads the agent. `defaults` are the defaults that apply to its group. They become the
    /// agent's own settings, because the Python server's format has no settings for a single agent.
    ///
    /// Returns `None` and counts the agent as skipped if its name is not valid, if it has neither
    /// `in_a_nutshell.md` nor `characteristics.md`, or if one of its texts cannot be read. See the
    /// documentation of the crate for an example.
    pub fn read(&self, defaults: &GroupDefaults, report: &mut Report) -> Option<AgentBundle> {
        let entries = match entries(&self.path, report) {
            Ok(entries) => entries,
            Err(error) => {
                report.skip(&self.path, error);
                return None;
            }
        };
        let Ok(name) = AgentName::parse(&self.folder) else {
            let reason = format!("{:?} is not a valid agent name", self.folder);
            report.skip(&self.path, reason);
            return None;
        };
        let is_text = |entry: &Entry| entry.name == NUTSHELL || entry.name == CHARACTERISTICS;
        if !entries.iter().any(is_text) {
            let reason = format!("it has neither {NUTSHELL} nor {CHARACTERISTICS}");
            report.skip(&self.path, reason);
            return None;
        }
        let config = AgentConfig {
            interrupt_every_turn: defaults.interrupt_every_turn.unwrap_or_default(),
            priority: defaults.priority.unwrap_or_default(),
            transparent: defaults.transparent.unwrap_or_default(),
            ..AgentConfig::default()
        };
        let mut reading = AgentReading::new(config, report);
        for entry in entries {
            // Without one of its texts, the agent would have another persona.
            if let Err(reason) = reading.add(&self.path.join(&entry.name), entry) {
                report.skip(&self.path, reason);
                return None;
            }
        }
        let (config, files) = reading.finish(&self.path);
        Some(AgentBundle {
            group: self.group.clone(),
            name,
            config,
            files,
        })
    }
}

#[cfg(test)]
mod tests;
