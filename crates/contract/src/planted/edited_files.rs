//! An in-memory store with files that a person can edit, and its faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use async_trait::async_trait;
use domain::{
    Agent, AgentConfig, AgentConfigs, AgentFiles, AgentId, AgentName, Agents, ConfigFile,
    ConfigProblem, Error, NewAgent, NoFiles, Repositories, Result,
};

use crate::{files::EditFiles, memory::Memory};

/// A fault of [`EditedMemory`], which breaks one rule of stores with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Edits are not reported by `changed`.
    ChangedMissesEdits,
    /// An edit is reported by each call of `changed`.
    ChangedRepeatsEdits,
    /// A reload does not read the files.
    ReloadKeepsTheOldPersona,
    /// A reload of broken files succeeds.
    ReloadAcceptsBrokenFiles,
    /// A reload of broken files empties the persona.
    ReloadLosesTheLastValidPersona,
    /// Broken files of an agent are not reported.
    ProblemsMissBrokenFiles,
    /// Files without an agent are not listed.
    ListMissesFilesWithoutAgent,
    /// An adopted agent has an empty persona.
    AdoptForgetsThePersona,
    /// Broken files become an agent.
    AdoptAcceptsBrokenFiles,
    /// A watch does not report edits.
    WatchMissesEdits,
}

impl FileFault {
    /// All faults.
    pub const ALL: [Self; 10] = [
        Self::ChangedMissesEdits,
        Self::ChangedRepeatsEdits,
        Self::ReloadKeepsTheOldPersona,
        Self::ReloadAcceptsBrokenFiles,
        Self::ReloadLosesTheLastValidPersona,
        Self::ProblemsMissBrokenFiles,
        Self::ListMissesFilesWithoutAgent,
        Self::AdoptForgetsThePersona,
        Self::AdoptAcceptsBrokenFiles,
        Self::WatchMissesEdits,
    ];
}

/// An in-memory store whose personas are in files that a person can edit. It may have one fault.
///
/// ```
/// use contract::planted::{EditedMemory, FileFault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = EditedMemory::with(FileFault::WatchMissesEdits);
/// let report = contract::check_files(&store).await;
/// assert_eq!(report.failed[0].0, "a_watch_ends_with_an_edit");
/// # }
/// ```
#[derive(Default)]
pub struct EditedMemory(Arc<Store>);

impl EditedMemory {
    /// Creates an empty store with this fault.
    pub fn with(fault: FileFault) -> Self {
        Self(Arc::new(Store {
            fault: Some(fault),
            ..Store::default()
        }))
    }
}

#[derive(Default)]
struct Store {
    memory: Arc<Memory>,
    fault: Option<FileFault>,
    folder: Mutex<Folder>,
}

/// The files by their paths. The text of a broken file is `None`.
#[derive(Default)]
struct Folder {
    files: BTreeMap<String, Option<String>>,
    /// The paths of files that were edited and not reported.
    edited: BTreeSet<String>,
    /// The paths of files that were edited and not reported by a watch.
    unwatched: BTreeSet<String>,
    watcher: Option<Waker>,
}

impl EditFiles for EditedMemory {
    fn repositories(&self) -> Repositories {
        Repositories {
            files: self.0.clone(),
            ..Memory::bundle(&self.0.memory)
        }
    }

    fn write(&self, path: &str, in_a_nutshell: &str) {
        self.0.edit(path, Some(in_a_nutshell.to_owned()));
    }

    fn break_files(&self, path: &str) {
        self.0.edit(path, None);
    }

    fn path(&self, name: &AgentName) -> String {
        format!("{name}/agent.yaml")
    }
}

impl Store {
    fn is(&self, fault: FileFault) -> bool {
        self.fault == Some(fault)
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, path: &str, text: Option<String>) {
        let mut folder = self.folder();
        folder.files.insert(path.to_owned(), text);
        folder.edited.insert(path.to_owned());
        folder.unwatched.insert(path.to_owned());
        if let Some(watcher) = folder.watcher.take() {
            watcher.wake();
        }
    }

    /// Returns the text of the files at `path`, or `None` if there are none.
    fn text(&self, path: &str) -> Option<Result<String>> {
        let text = self.folder().files.get(path).cloned()?;
        Some(text.ok_or_else(|| Error::Invalid(format!("{path} is broken"))))
    }

    fn without_files(&self) -> NoFiles {
        NoFiles::new(self.memory.clone(), self.memory.clone())
    }

    async fn agents(&self) -> Result<Vec<Arc<Agent>>> {
        Agents::list(&*self.memory, None, usize::MAX).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentFiles for Store {
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        AgentConfigs::find_many(&*self.memory, ids).await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let refused = self.without_files().adopt(path).await;
        let (Err(Error::Missing { .. }), Some(text)) = (&refused, self.text(path)) else {
            return refused;
        };
        let text = match text {
            Err(_) if self.is(FileFault::AdoptAcceptsBrokenFiles) => String::new(),
            text => text?,
        };
        let name = path.trim_end_matches("/agent.yaml");
        let in_a_nutshell = if self.is(FileFault::AdoptForgetsThePersona) {
            String::new()
        } else {
            text
        };
        let new = NewAgent {
            name: AgentName::parse(name)?,
            group: None,
            config: AgentConfig {
                in_a_nutshell,
                ..AgentConfig::default()
            },
            picture: None,
        };
        let agent = self.memory.create(new).await?;
        let mut folder = self.folder();
        folder.edited.remove(path);
        folder.unwatched.remove(path);
        Ok(agent)
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let config = self.without_files().reload(id).await?;
        let agent = Agents::find(&*self.memory, id).await?;
        let text = agent.and_then(|agent| self.text(&agent.config_file));
        let in_a_nutshell = match text {
            None => return Ok(config),
            Some(Ok(_)) if self.is(FileFault::ReloadKeepsTheOldPersona) => return Ok(config),
            Some(Err(_)) if self.is(FileFault::ReloadAcceptsBrokenFiles) => return Ok(config),
            Some(Err(error)) => {
                if self.is(FileFault::ReloadLosesTheLastValidPersona) {
                    self.memory.save(id, AgentConfig::default()).await?;
                }
                return Err(error);
            }
            Some(Ok(text)) => text,
        };
        let config = AgentConfig {
            in_a_nutshell,
            ..(*config).clone()
        };
        self.memory.save(id, config).await
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        let mut files = self.without_files().list().await?;
        if self.is(FileFault::ListMissesFilesWithoutAgent) {
            return Ok(files);
        }
        for path in self.folder().files.keys() {
            if files.iter().all(|file| file.path != *path) {
                let name = AgentName::parse(path.trim_end_matches("/agent.yaml"))?;
                files.push(ConfigFile {
                    name,
                    path: path.clone(),
                });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        let agents = Agents::find_many(&*self.memory, ids).await?;
        let mut folder = self.folder();
        let mut changed = Vec::new();
        for agent in agents {
            let is_edited = folder.edited.contains(&agent.config_file);
            if is_edited && !self.is(FileFault::ChangedMissesEdits) {
                changed.push(agent.id);
            }
            if !self.is(FileFault::ChangedRepeatsEdits) {
                folder.edited.remove(&agent.config_file);
            }
        }
        Ok(changed)
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        let paths = poll_fn(|context| {
            let mut folder = self.folder();
            folder.watcher = Some(context.waker().clone());
            let paths = std::mem::take(&mut folder.unwatched);
            if paths.is_empty() || self.is(FileFault::WatchMissesEdits) {
                return Poll::Pending;
            }
            Poll::Ready(paths)
        })
        .await;
        let agents = self.agents().await?.into_iter();
        let edited = agents.filter(|agent| paths.contains(&agent.config_file));
        Ok(edited.map(|agent| agent.id).collect())
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        if self.is(FileFault::ProblemsMissBrokenFiles) {
            return Ok(Vec::new());
        }
        let folder = self.folder();
        let broken = folder.files.iter().filter(|(_, text)| text.is_none());
        let problem = |(path, _): (&String, _)| ConfigProblem {
            name: path.trim_end_matches("/agent.yaml").to_owned(),
            text: format!("{path} is broken"),
        };
        Ok(broken.map(problem).collect())
    }
}
