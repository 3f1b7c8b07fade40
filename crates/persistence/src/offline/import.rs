//! Import of agents into an agents' folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use domain::{AgentConfig, AgentName, Error, GroupDefaults, GroupName, Result};

use super::files::{failed, write_private};
use crate::{
    agent_files::{
        disk::RealDisk,
        folder::AgentsFolder,
        layout::{ARCHIVE, MOVE},
        path::AgentPath,
    },
    schemas::SCHEMAS,
    yaml::{self, AGENT, GROUP, MEMORY, Texts},
};

/// The outcome of adding an agent or a file. An existing agent or file is never overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    /// The agent or file was written. In a dry run, it would have been written.
    Added,
    /// An agent or a file with equal content already existed.
    Unchanged,
    /// Another agent has the name.
    NameTaken {
        /// The path of that agent's `agent.yaml`, relative to the agents' folder.
        config_file: String,
    },
    /// A file with other content already existed at the path.
    Occupied {
        /// The path of the existing file.
        path: PathBuf,
    },
}

/// An import into an agents' folder. Each addition locks the folder, so a server may change agents
/// between two additions.
///
/// ```
/// # fn main() -> domain::Result<()> {
/// # let folder = tempfile::tempdir().expect("a folder for the example");
/// # let agents = folder.path().join("agents");
/// use domain::{AgentConfig, AgentName};
/// use persistence::{Addition, AgentExport, AgentImport};
///
/// let mut import = AgentImport::start(&agents)?;
/// let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
/// assert_eq!(import.add_agent(None, &name, &config, Vec::new())?, Addition::Added);
/// assert_eq!(import.add_agent(None, &name, &config, Vec::new())?, Addition::Unchanged);
///
/// let export = AgentExport::open(&agents);
/// let entries = export.agents()?;
/// let files = export.read_agent(&entries[0])?.expect("it was added");
/// assert_eq!((&entries[0].name, files.config), (&name, config));
/// # Ok(()) }
/// ```
pub struct AgentImport {
    folder: AgentsFolder,
    /// `true` for an import that writes nothing.
    is_dry_run: bool,
    paths: BTreeMap<AgentName, AgentPath>,
    /// The text of `group.yaml` for each added group. In a dry run, the file may not exist on disk.
    groups: BTreeMap<GroupName, String>,
}

impl AgentImport {
    /// Starts an import: creates the folder if it is missing, and writes the JSON Schemas.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut import = Self::dry_run(folder)?;
        import.is_dry_run = false;
        let _lock = import.folder.lock()?;
        for (name, schema) in SCHEMAS {
            write(&folder.join(name), schema.as_bytes())?;
        }
        Ok(import)
    }

    /// Starts an import that writes nothing. Its methods return the outcomes that a real import
    /// would have.
    pub fn dry_run(folder: &Path) -> Result<Self> {
        let folder = AgentsFolder::new(folder, Arc::new(RealDisk));
        Ok(Self {
            paths: paths(&folder)?,
            folder,
            is_dry_run: true,
            groups: BTreeMap::new(),
        })
    }

    /// Adds a group and writes its `group.yaml`. Returns the outcome for that file, and the
    /// defaults that apply to the group's agents. If the file exists, its defaults apply instead of
    /// `defaults`.
    pub fn add_group(
        &mut self,
        name: &GroupName,
        defaults: &GroupDefaults,
    ) -> Result<(Addition, GroupDefaults)> {
        let mut text = yaml::print_group(defaults);
        if !text.is_empty() {
            text = with_schema("../", "group", &text);
        }
        let path = self.folder.root().join(name.as_str()).join(GROUP);
        let existing = match fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path)(error)),
        };
        let addition = match &existing {
            Some(existing) if *existing == text || text.is_empty() => Addition::Unchanged,
            Some(_) => Addition::Occupied { path },
            None if text.is_empty() => Addition::Unchanged,
            None => {
                self.write(&path, text.as_bytes())?;
                Addition::Added
            }
        };
        let text = existing.unwrap_or(text);
        let in_force = yaml::parse_group(&text).unwrap_or_default();
        self.groups.insert(name.clone(), text);
        Ok((addition, in_force))
    }

    /// Adds a file to a group's folder. Fails with [`Error::Invalid`] if `name` is not a plain file
    /// name, or is the name of one of Greenroom's own files.
    pub fn add_group_file(&self, group: &GroupName, name: &str, bytes: &[u8]) -> Result<Addition> {
        check_name(name)?;
        let path = self.folder.root().join(group.as_str()).join(name);
        match fs::read(&path) {
            Ok(existing) if existing == bytes => Ok(Addition::Unchanged),
            // A file that cannot be read is not overwritten either.
            Ok(_) => Ok(Addition::Occupied { path }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Ok(Addition::Occupied { path })
            }
            Err(_) => {
                self.write(&path, bytes)?;
                Ok(Addition::Added)
            }
        }
    }

    /// Adds an agent's files: its persona, and `files`, each a name and bytes. The agent gets its
    /// id when a server starts and creates the agent from the files.
    ///
    /// Returns [`Addition::Unchanged`] if an agent with this name and equal files exists. The id in
    /// its `agent.yaml` is ignored.
    pub fn add_agent(
        &mut self,
        group: Option<&GroupName>,
        name: &AgentName,
        config: &AgentConfig,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Addition> {
        for (file, _) in &files {
            check_name(file)?;
        }
        let path = AgentPath {
            group: group.cloned(),
            name: name.clone(),
        };
        let files = self.with_persona(&path, config, files)?;
        let mut paths = self.paths.iter();
        let colliding = paths.find(|(taken, _)| taken.collides_with(name));
        if let Some((_, existing)) = colliding {
            if *existing == path && self.is_same(&path, &files) {
                return Ok(Addition::Unchanged);
            }
            let config_file = existing.config_file();
            return Ok(Addition::NameTaken { config_file });
        }
        if self.folder.require_one_kind(&path).is_err() {
            let path = self.folder.root().join(path.folder());
            return Ok(Addition::Occupied { path });
        }
        if let Some(path) = self.write_agent(&path, files)? {
            return Ok(Addition::Occupied { path });
        }
        self.paths.insert(name.clone(), path);
        Ok(Addition::Added)
    }

    /// Writes a new agent's files, unless this is a dry run. If one of them exists, returns its
    /// path and writes nothing.
    fn write_agent(
        &self,
        path: &AgentPath,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Option<PathBuf>> {
        if self.is_dry_run {
            return Ok(self.folder.occupied(path, &files));
        }
        let lock = self.folder.lock()?;
        self.folder.finish(&lock, path)?;
        if let Some(occupied) = self.folder.occupied(path, &files) {
            return Ok(Some(occupied));
        }
        let read = Texts {
            group: self.folder.group(path)?,
            ..Texts::default()
        };
        let staged = self.folder.stage(&lock, path, read, files, None)?;
        self.folder.commit(&lock, staged)?;
        Ok(None)
    }

    /// Adds `memory.yaml` and `agent.yaml` to an agent's other files. `agent.yaml` comes last,
    /// because a folder counts as an agent as soon as it contains this file.
    fn with_persona(
        &self,
        path: &AgentPath,
        config: &AgentConfig,
        mut files: Vec<(String, Vec<u8>)>,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let added = path.group.as_ref().and_then(|name| self.groups.get(name));
        let group = match added {
            Some(text) => text.clone(),
            None => self.folder.group(path)?,
        };
        let texts = yaml::print(None, config, group);
        let up = if path.group.is_some() {
            "../../"
        } else {
            "../"
        };
        for (name, schema, text) in [
            (MEMORY, "memory", texts.memory),
            (AGENT, "agent", texts.agent),
        ] {
            let text = with_schema(up, schema, &text);
            files.push((name.to_owned(), text.into_bytes()));
        }
        Ok(files)
    }

    /// Returns `true` if the agent at `path` has these files with equal content. The id in its
    /// `agent.yaml` is ignored, because a server may have added it since the last import.
    fn is_same(&self, path: &AgentPath, files: &[(String, Vec<u8>)]) -> bool {
        let without_id = |bytes: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(bytes)
                .lines()
                .filter(|line| !line.starts_with("id: "))
                .map(str::to_owned)
                .collect()
        };
        let folder = self.folder.root().join(path.folder());
        files.iter().all(|(name, bytes)| {
            let existing = fs::read(folder.join(name)).unwrap_or_default();
            existing == *bytes || (name == AGENT && without_id(&existing) == without_id(bytes))
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if self.is_dry_run {
            return Ok(());
        }
        let _lock = self.folder.lock()?;
        write(path, bytes)
    }
}

fn paths(folder: &AgentsFolder) -> Result<BTreeMap<AgentName, AgentPath>> {
    let agents = folder.list()?.agents.into_iter();
    Ok(agents.map(|path| (path.name.clone(), path)).collect())
}

/// Returns `text` below a comment line that names its JSON Schema for editors. `up` is the path
/// from the file's folder to the agents' folder.
fn with_schema(up: &str, schema: &str, text: &str) -> String {
    format!("# yaml-language-server: $schema={up}.schema/{schema}.json\n{text}")
}

/// Fails with [`Error::Invalid`] for a name that leads out of the folder, and for the names of
/// Greenroom's own files.
fn check_name(name: &str) -> Result<()> {
    let is_plain = Path::new(name)
        .components()
        .eq([Component::Normal(name.as_ref())]);
    if is_plain && ![AGENT, MEMORY, GROUP, ARCHIVE, MOVE].contains(&name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a file beside an agent's must have a plain name other than {AGENT}, {MEMORY}, {ARCHIVE}, \
         {GROUP} and {MOVE}, got {name:?}"
    )))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_private(path, bytes).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    #[test]
    fn a_group_that_sets_nothing_leaves_the_existing_defaults_in_force() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("g")).unwrap();
        fs::write(folder.path().join("g/group.yaml"), "priority: 3\n").unwrap();
        let mut import = AgentImport::start(folder.path()).unwrap();
        let (addition, in_force) = import
            .add_group(&group("g"), &GroupDefaults::default())
            .unwrap();
        assert_eq!(
            (addition, in_force.priority),
            (Addition::Unchanged, Some(3))
        );
        let config = AgentConfig {
            priority: 3,
            ..AgentConfig::default()
        };
        let name = AgentName::parse("Ada").unwrap();
        let added = import.add_agent(Some(&group("g")), &name, &config, Vec::new());
        assert_eq!(added.unwrap(), Addition::Added);
        let text = fs::read_to_string(folder.path().join("g/Ada/agent.yaml")).unwrap();
        assert!(!text.contains("priority"), "{text}");
    }

    #[test]
    fn a_file_name_that_leads_out_of_its_folder_or_is_reserved_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let import = AgentImport::start(&folder.path().join("agents")).unwrap();
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/x",
            "agent.yaml",
            "group.yaml",
        ] {
            let added = import.add_group_file(&group("g"), name, b"x");
            assert!(matches!(added, Err(Error::Invalid(_))), "{name:?}");
        }
        assert!(!folder.path().join("x").exists());
    }
}
