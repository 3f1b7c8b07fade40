//! The port of files that hold personas, and its implementation for stores without such files.

use std::{future::pending, sync::Arc};

use async_trait::async_trait;

use super::{AgentConfigs, Agents};
use crate::{Agent, AgentConfig, AgentId, ConfigFile, ConfigProblem, Error, Result};

/// The files that hold the agents' personas, and that people edit while the program runs.
///
/// A store without such files uses [`NoFiles`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, Error, NewAgent};
///
/// let ports = contract::memory::repositories();
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// ports.agents.create(new).await?;
/// let files = ports.files.list().await?;
/// assert_eq!(files[0].name.as_str(), "Ada");
/// let adopted = ports.files.adopt(&files[0].path).await;
/// assert!(matches!(adopted, Err(Error::Conflict(_))));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AgentFiles: Send + Sync {
    /// Returns personas that the caller has read before, for example to refresh a cache.
    ///
    /// A store may skip reading if it can check cheaply that its last read is still current. The
    /// result MUST be the one that [`AgentConfigs::find_many`] would return.
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>>;
    /// Creates an agent from files that the store already holds, and returns it.
    ///
    /// `path` is one of the paths that [`AgentFiles::list`] returns. A path without files MUST
    /// fail with `Missing`, the path of an agent with `Conflict`, and a path that leads outside the
    /// agents' folder with `Invalid`. Files that are not valid fail with `Invalid`, too.
    async fn adopt(&self, path: &str) -> Result<Arc<Agent>>;
    /// Reads the agent's files again and returns the persona. If the files are broken, the call
    /// fails with `Invalid` and the last valid persona MUST stay.
    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>>;
    /// Returns the locations of all personas in the store, in ascending order of names. A persona
    /// without an agent can be adopted with [`AgentFiles::adopt`].
    async fn list(&self) -> Result<Vec<ConfigFile>>;
    /// Returns the agents in `ids` whose files another program has changed since these ports last
    /// read or wrote the files.
    ///
    /// Each change is returned once. Writes through these ports MUST NOT be in the result. If `ids`
    /// is long, a store may check some agents in this call and the others in later calls.
    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>>;
    /// Waits until another program changes files, and returns the agents whose files changed.
    ///
    /// Writes through these ports MUST NOT be in the result. The call never returns for a store
    /// that no other program can change.
    async fn watch(&self) -> Result<Vec<AgentId>>;
    /// Returns the files that are invalid now. An agent with such files keeps its last valid
    /// persona; files without an agent cannot be adopted. Valid files MUST NOT be in the result.
    async fn problems(&self) -> Result<Vec<ConfigProblem>>;
}

/// [`AgentFiles`] of a store whose personas are not in files that people can edit.
///
/// Each agent is listed with its [`config_file`](Agent::config_file). There are no other personas
/// to adopt, no changes by other programs, and no problems.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentFiles as _, Error, NoFiles};
///
/// let ports = contract::memory::repositories();
/// let files = NoFiles::new(ports.agents, ports.configs);
/// assert!(files.problems().await?.is_empty());
/// let adopted = files.adopt("Ada/agent.yaml").await;
/// assert_eq!(adopted, Err(Error::missing("configuration", "Ada/agent.yaml")));
/// # Ok(())
/// # }
/// ```
pub struct NoFiles {
    agents: Arc<dyn Agents>,
    configs: Arc<dyn AgentConfigs>,
}

impl NoFiles {
    /// Returns the port for the store of `agents` and `configs`.
    pub fn new(agents: Arc<dyn Agents>, configs: Arc<dyn AgentConfigs>) -> Self {
        Self { agents, configs }
    }
}

impl std::fmt::Debug for NoFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoFiles").finish_non_exhaustive()
    }
}

#[async_trait]
impl AgentFiles for NoFiles {
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        self.configs.find_many(ids).await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        if path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..")
        {
            return Err(Error::Invalid(format!(
                "path {path:?} must not lead out of the agents' folder"
            )));
        }
        if self.list().await?.iter().any(|file| file.path == path) {
            return Err(Error::Conflict(format!(
                "an agent with files {path:?} already exists"
            )));
        }
        Err(Error::missing("configuration", path))
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let found = self.configs.find(id).await?;
        found.ok_or_else(|| Error::missing("agent", id))
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        let agents = self.agents.list(None, usize::MAX).await?;
        let mut files: Vec<_> = agents
            .iter()
            .map(|agent| ConfigFile {
                name: agent.name.clone(),
                path: agent.config_file.clone(),
            })
            .collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    async fn changed(&self, _: &[AgentId]) -> Result<Vec<AgentId>> {
        Ok(Vec::new())
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        pending().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        Ok(Vec::new())
    }
}
