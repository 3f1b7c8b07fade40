//! Recovery of agents' files after a crash, and the search for folders that were moved.

use domain::{Error, Result};

use super::{
    file_store::{ChangePermit, FileStore},
    folder::{AgentsFolder, FolderLock},
    path::AgentPath,
    persona::id_mismatch,
};
use crate::yaml::id_of;

/// A folder with an `agent.yaml`, and the id in that file.
pub(crate) struct FoundFolder {
    pub(crate) path: AgentPath,
    /// `None` if the file contains no id, or is not valid YAML.
    pub(crate) id: Option<i64>,
}

/// The result of [`FileStore::recover`].
#[derive(Default)]
pub(crate) struct Recovered {
    /// All agents' folders.
    pub(crate) folders: Vec<FoundFolder>,
    /// The highest id of the agents in `.deleted`.
    pub(crate) highest_deleted_id: i64,
    /// `false` if an agent's interrupted change could not be completed.
    pub(crate) is_complete: bool,
}

impl FileStore {
    /// Completes or discards interrupted changes of all agents' files. Moves back the folders of
    /// `living` agents whose deletion was rolled back. Returns all agents' folders afterwards.
    ///
    /// If an error occurs in one agent's folder, logs the error and recovers the other agents. Ids
    /// in `.deleted` above `id_limit` are ignored.
    pub(crate) async fn recover(
        &self,
        permit: &ChangePermit,
        living: Vec<(i64, AgentPath)>,
        id_limit: i64,
    ) -> Result<Recovered> {
        self.write(permit, move |folder| {
            let highest_deleted_id = folder.highest_deleted_id(id_limit)?;
            let paths = folder.list()?.agents;
            // Without agents there is nothing to repair. Returns before `lock`, which would create
            // the folder.
            if paths.is_empty() && living.is_empty() {
                return Ok(Recovered {
                    highest_deleted_id,
                    is_complete: true,
                    ..Recovered::default()
                });
            }
            let lock = folder.lock()?;
            let mut is_complete = true;
            let mut keep_going = |path: &AgentPath, result: Result<()>| {
                if let Err(error) = result {
                    is_complete = false;
                    tracing::warn!(
                        file = %path.config_file(),
                        %error,
                        "an interrupted change of an agent cannot be completed"
                    );
                }
            };
            for path in &paths {
                keep_going(path, folder.finish(&lock, path).map(drop));
            }
            for (id, path) in &living {
                keep_going(path, folder.bring_back(&lock, path, *id));
            }
            let to_found = |path: AgentPath| FoundFolder {
                id: id_in(folder, &path),
                path,
            };
            Ok(Recovered {
                folders: folder.list()?.agents.into_iter().map(to_found).collect(),
                highest_deleted_id,
                is_complete,
            })
        })
        .await
    }

    /// Locks the folder for a change that does not prepare files. Acquire the lock before the
    /// transaction begins.
    pub(crate) async fn lock_folder(&self, permit: &ChangePermit) -> Result<FolderLock> {
        self.write(permit, AgentsFolder::lock).await
    }

    /// Returns the path of the folder whose `agent.yaml` contains `id`. Returns `None` if there is
    /// no such folder, or more than one.
    pub(crate) async fn locate(&self, id: i64) -> Result<Option<AgentPath>> {
        self.read(move |folder| {
            let mut paths = folder.list()?.agents;
            paths.retain(|path| id_in(folder, path) == Some(id));
            Ok(if paths.len() == 1 { paths.pop() } else { None })
        })
        .await
    }

    /// Returns `true` if the `agent.yaml` at a path contains another id than `id`.
    pub(crate) async fn belongs_to_another(&self, id: i64, path: AgentPath) -> Result<bool> {
        self.read(move |folder| Ok(id_in(folder, &path).is_some_and(|found| found != id)))
            .await
    }

    /// Moves a deleted agent's folder to `.deleted`. See [`AgentsFolder::set_aside`]. Fails with
    /// `Conflict` if the folder contains another agent's id.
    pub(crate) async fn set_aside(
        &self,
        permit: &ChangePermit,
        lock: FolderLock,
        path: AgentPath,
        id: i64,
    ) -> Result<()> {
        self.mark_for_recovery();
        self.write(permit, move |folder| {
            if let Some(why) = id_mismatch(&path, id_in(folder, &path), id) {
                return Err(Error::Conflict(why));
            }
            folder.set_aside(&lock, &path, id)
        })
        .await
    }
}

fn id_in(folder: &AgentsFolder, path: &AgentPath) -> Option<i64> {
    let texts = folder.texts(path).ok().flatten()?;
    id_of(&texts.agent)
}
