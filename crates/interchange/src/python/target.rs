//! Writing of agents and groups into the Python server's folders.

use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{Error, GroupDefaults, GroupName, Result};

use super::{
    markdown,
    names::{CHARACTERISTICS, EVENTS, GROUP_CONFIG, GROUP_PREFIX, MEMORIES, NUTSHELL},
};
use crate::{
    bundle::{AgentBundle, GroupBundle},
    files::{failed, write},
    report::Report,
};

/// A new folder in the Python server's layout.
#[derive(Clone, Debug)]
pub struct Target {
    folder: PathBuf,
}

impl Target {
    /// Creates the folder. Fails with `Conflict` if the folder exists and is not empty, because an
    /// export overwrites nothing.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// use domain::{AgentConfig, AgentName};
    /// use interchange::{AgentBundle, Report, python::Target};
    ///
    /// let config = AgentConfig { in_a_nutshell: "A sailor".to_owned(), ..Default::default() };
    /// let name = AgentName::parse("Ada")?;
    /// let agent = AgentBundle { group: None, name, config, files: Vec::new() };
    ///
    /// let target = Target::create(theirs)?;
    /// target.write_agent(&agent, theirs, &mut Report::default())?;
    /// assert!(theirs.join("Ada/in_a_nutshell.md").exists());
    /// assert!(Target::create(theirs).is_err(), "it is not empty any more");
    /// # Ok(()) }
    /// ```
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(failed(folder))?;
        if fs::read_dir(folder)
            .map_err(failed(folder))?
            .next()
            .is_some()
        {
            let folder = folder.display();
            return Err(Error::Conflict(format!(
                "{folder} must be empty: an export overwrites nothing"
            )));
        }
        Ok(Self {
            folder: folder.to_path_buf(),
        })
    }

    /// Writes an agent's files. `memory_file` is the file that the agent's memories were read from;
    /// lines of the report about memories name it. See [`Target::create`] for an example.
    pub fn write_agent(
        &self,
        agent: &AgentBundle,
        memory_file: &Path,
        report: &mut Report,
    ) -> Result<()> {
        let folder = match &agent.group {
            Some(group) => self.group_folder(group).join(agent.name.as_str()),
            None => self.folder.join(agent.name.as_str()),
        };
        let config = &agent.config;
        let events = markdown::print_events(&config.recent_events);
        if markdown::events(&events) != config.recent_events {
            let note = "recent events read back differently: \
                        they have blank lines in them, or lines that look like events";
            report.note(memory_file, note);
        }
        let memories = markdown::print_memories(&config.long_term_memories);
        if markdown::memories(&memories) != config.long_term_memories {
            let note = "long-term memories read back differently: \
                        they have blank lines around them, or lines that look like headers";
            report.note(memory_file, note);
        }
        write(&folder, NUTSHELL, config.in_a_nutshell.as_bytes())?;
        write(&folder, CHARACTERISTICS, config.characteristics.as_bytes())?;
        if !config.recent_events.is_empty() {
            write(&folder, EVENTS, events.as_bytes())?;
        }
        if !config.long_term_memories.is_empty() {
            write(&folder, MEMORIES[0], memories.as_bytes())?;
        }
        for (name, bytes) in &agent.files {
            write(&folder, name, bytes)?;
        }
        Ok(())
    }

    /// Writes a group's settings and files. The group's agents are written by
    /// [`Target::write_agent`].
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// # let folder = tempfile::tempdir().expect("a folder for the example");
    /// # let theirs = folder.path();
    /// use domain::{GroupDefaults, GroupName};
    /// use interchange::{GroupBundle, python::Target};
    ///
    /// let defaults = Some(GroupDefaults { priority: Some(3), ..Default::default() });
    /// let name = GroupName::parse("sailors")?;
    /// let group = GroupBundle { name, defaults, files: Vec::new() };
    /// Target::create(theirs)?.write_group(&group)?;
    /// let text = std::fs::read_to_string(theirs.join("group_sailors/group_config.yaml"));
    /// assert_eq!(text.expect("it was written"), "priority: 3\n");
    /// # Ok(()) }
    /// ```
    pub fn write_group(&self, group: &GroupBundle) -> Result<()> {
        let folder = self.group_folder(&group.name);
        if let Some(defaults) = &group.defaults {
            write(&folder, GROUP_CONFIG, group_config(defaults).as_bytes())?;
        }
        for (name, bytes) in &group.files {
            write(&folder, name, bytes)?;
        }
        Ok(())
    }

    fn group_folder(&self, group: &GroupName) -> PathBuf {
        self.folder.join(format!("{GROUP_PREFIX}{group}"))
    }
}

fn group_config(defaults: &GroupDefaults) -> String {
    let interrupt = defaults.interrupt_every_turn;
    let values = [
        interrupt.map(|flag| format!("interrupt_every_turn: {flag}\n")),
        defaults
            .priority
            .map(|number| format!("priority: {number}\n")),
        defaults
            .transparent
            .map(|flag| format!("transparent: {flag}\n")),
    ];
    values.into_iter().flatten().collect()
}
