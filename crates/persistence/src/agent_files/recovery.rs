//! Recovery of agents' files after a crash, and the search for folders that were moved.

use domain::Result;

use super::{
    file_store::{ChangePermit, FileStore},
    folder::AgentsFolder,
    path::AgentPath,
};
use crate::yaml::id_of;

/// A folder with an `agent.yaml`, and the id in that file.
pub(crate) struct FoundFolder {
    pub(crate) path: AgentPath,
    /// `None` if the file contains no id, or is not valid YAML.
    pub(crate) id: Option<i64>,
}

impl FileStore {
    /// Completes or discards interrupted changes of all agents' files. Moves back the folders of
    /// `living` agents whose deletion was rolled back. Returns all agents' folders afterwards.
    pub(crate) async fn recover(
        &self,
        permit: &ChangePermit,
        living: Vec<(i64, AgentPath)>,
    ) -> Result<Vec<FoundFolder>> {
        self.write(permit, move |folder| {
            let paths = folder.list()?;
            // Without agents there is nothing to repair. Returns before `lock`, which would create
            // the folder.
            if paths.is_empty() && living.is_empty() {
                return Ok(Vec::new());
            }
            let lock = folder.lock()?;
            for path in paths {
                folder.finish(&lock, &path)?;
            }
            for (id, path) in &living {
                folder.bring_back(&lock, path, *id)?;
            }
            let to_found = |path: AgentPath| FoundFolder {
                id: id_in(folder, &path),
                path,
            };
            Ok(folder.list()?.into_iter().map(to_found).collect())
        })
        .await
    }

    /// Returns the path of the folder whose `agent.yaml` contains `id`. Returns `None` if there is
    /// no such folder, or more than one.
    pub(crate) async fn locate(&self, id: i64) -> Result<Option<AgentPath>> {
        self.read(move |folder| {
            let mut paths = folder.list()?;
            paths.retain(|path| id_in(folder, path) == Some(id));
            Ok(if paths.len() == 1 { paths.pop() } else { None })
        })
        .await
    }

    /// Moves a deleted agent's folder to `.deleted`. See [`AgentsFolder::set_aside`].
    pub(crate) async fn set_aside(
        &self,
        permit: &ChangePermit,
        path: AgentPath,
        id: i64,
    ) -> Result<()> {
        self.mark_for_recovery();
        self.write(permit, move |folder| {
            folder.set_aside(&folder.lock()?, &path, id)
        })
        .await
    }
}

fn id_in(folder: &AgentsFolder, path: &AgentPath) -> Option<i64> {
    let texts = folder.texts(path).ok().flatten()?;
    id_of(&texts.agent)
}
