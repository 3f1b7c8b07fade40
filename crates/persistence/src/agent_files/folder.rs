//! The agents' folder on the disk. Every method may block on the disk.

use std::{
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use domain::{AgentName, Error, GroupName, Result};

use super::{
    disk::{Disk, is_missing, unavailable},
    layout::{CHANGE, DELETED, LOCK},
    path::AgentPath,
    stamps::FileStamps,
};
use crate::yaml::AGENT;

/// The name and the content of a file in an agent's folder.
pub(crate) type NamedFile = (String, Vec<u8>);

/// The folder that contains one folder per agent, directly or inside a folder per group.
///
/// The module `read` contains the methods that read agents' files, the module `change` the methods
/// that change them.
pub(crate) struct AgentsFolder {
    root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// Locked for reading while an agent's files are read, and for writing while files are moved
    /// into place. So no reader of this process sees a partly applied change.
    contents: RwLock<()>,
    pub(super) stamps: FileStamps,
}

/// A lock that excludes all other writers, in this and in other processes, until it is dropped.
pub(crate) struct FolderLock(#[expect(dead_code, reason = "held, never read")] File);

impl AgentsFolder {
    /// Returns the folder at `root`, which need not exist yet.
    pub(crate) fn new(root: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self {
            root: root.into(),
            disk,
            contents: RwLock::default(),
            stamps: FileStamps::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of an agent's folder on the disk: the root followed by `[GROUP/]NAME`.
    pub(super) fn path_of(&self, path: &AgentPath) -> PathBuf {
        self.root.join(path.folder())
    }

    /// Locks the folder, and creates it if it is missing. Waits without a time limit while another
    /// process holds the lock.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        std::fs::create_dir_all(&self.root).map_err(unavailable(&self.root))?;
        let path = self.root.join(LOCK);
        self.disk
            .lock(&path)
            .map(FolderLock)
            .map_err(unavailable(&path))
    }

    pub(super) fn read_contents(&self) -> RwLockReadGuard<'_, ()> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_contents(&self) -> RwLockWriteGuard<'_, ()> {
        self.contents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the paths of all folders that contain an `agent.yaml`, valid or not, sorted by name.
    /// Folders whose names are not valid for an agent or a group are left out.
    pub(crate) fn list(&self) -> Result<Vec<AgentPath>> {
        let mut found = Vec::new();
        for (name, folder) in self.visible_folders(&self.root)? {
            if self.is_agent(&folder) {
                let name = AgentName::parse(&name).ok();
                found.extend(name.map(|name| AgentPath { group: None, name }));
                continue;
            }
            let Ok(group) = GroupName::parse(&name) else {
                continue;
            };
            for (name, folder) in self.visible_folders(&folder)? {
                if self.is_agent(&folder) {
                    let name = AgentName::parse(&name).ok();
                    found.extend(name.map(|name| AgentPath {
                        group: Some(group.clone()),
                        name,
                    }));
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.group.cmp(&b.group)));
        Ok(found)
    }

    fn is_agent(&self, folder: &Path) -> bool {
        self.disk.stat(&folder.join(AGENT)).is_ok()
            // A crash may have left the files of a new agent in a valid change that is not
            // completed.
            || self.disk.stat(&folder.join(CHANGE).join(AGENT)).is_ok()
    }

    /// Returns the names and paths of the folders in `parent`, except hidden ones.
    fn visible_folders(&self, parent: &Path) -> Result<Vec<(String, PathBuf)>> {
        let entries = match self.disk.list(parent) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(unavailable(parent)(error)),
        };
        let folders = entries.into_iter().filter(|entry| entry.is_folder);
        let named = folders.filter_map(|entry| {
            let name = entry.path.file_name()?.to_str()?.to_owned();
            Some((name, entry.path))
        });
        Ok(named.filter(|(name, _)| !name.starts_with('.')).collect())
    }

    /// Returns the path of the first of `files` that already exists in a new agent's folder, or
    /// `None`. The folder belongs to no agent, so a person has written that file, and it must not
    /// be overwritten.
    pub(crate) fn occupied(&self, path: &AgentPath, files: &[NamedFile]) -> Option<PathBuf> {
        let folder = self.path_of(path);
        files
            .iter()
            .map(|(name, _)| folder.join(name))
            .find(|path| self.disk.stat(path).is_ok())
    }

    /// Returns the bytes of a picture, or `None` if it is missing.
    ///
    /// The picture counts as missing if its file name leads out of the agent's folder, directly or
    /// by a symbolic link. It also counts as missing if the agent's folder is a link out of the
    /// agents' folder.
    pub(crate) fn picture(&self, path: &AgentPath, file: &str) -> Result<Option<Vec<u8>>> {
        let _shared = self.read_contents();
        let is_plain = Path::new(file)
            .components()
            .eq([Component::Normal(file.as_ref())]);
        let (Ok(root), Ok(folder)) = (self.root.canonicalize(), self.path_of(path).canonicalize())
        else {
            return Ok(None);
        };
        let Ok(picture) = folder.join(file).canonicalize() else {
            return Ok(None);
        };
        if !is_plain || picture.parent() != Some(folder.as_path()) || !folder.starts_with(root) {
            return Ok(None);
        }
        let bytes = self.disk.read(&picture).map_err(unavailable(&picture))?;
        Ok(Some(bytes))
    }

    /// Moves an agent's folder to `.deleted/NAME-ID`. Does nothing if the folder is missing.
    pub(crate) fn set_aside(&self, _lock: &FolderLock, path: &AgentPath, id: i64) -> Result<()> {
        let deleted = self.root.join(DELETED);
        self.create_folder(&deleted)
            .map_err(unavailable(&deleted))?;
        self.move_folder(&self.path_of(path), &self.aside(path, id))
    }

    /// Moves the folder of a living agent back from `.deleted`, after a deletion that was rolled
    /// back. Does nothing if a folder exists at the agent's path.
    pub(crate) fn bring_back(&self, _lock: &FolderLock, path: &AgentPath, id: i64) -> Result<()> {
        let target = self.path_of(path);
        if self.disk.stat(&target).is_ok() {
            return Ok(());
        }
        self.move_folder(&self.aside(path, id), &target)
    }

    fn aside(&self, path: &AgentPath, id: i64) -> PathBuf {
        self.root.join(DELETED).join(format!("{}-{id}", path.name))
    }

    fn move_folder(&self, from: &Path, to: &Path) -> Result<()> {
        let _exclusive = self.write_contents();
        match self.disk.rename(from, to) {
            Err(error) if is_missing(&error) => return Ok(()),
            result => result.map_err(unavailable(from))?,
        }
        // The new parent is flushed first. Then a power failure between the two flushes can leave
        // the folder in both parents. In the other order, it could leave the folder in neither.
        for parent in [to.parent(), from.parent()].into_iter().flatten() {
            // The rename has happened, but it may not be durable. So the outcome is unknown.
            self.disk
                .sync_folder(parent)
                .map_err(|error| Error::unknown(unavailable(parent)(error)))?;
        }
        Ok(())
    }

    /// Creates a folder inside the agents' folder, including missing parents, and makes it durable.
    /// Fails if the folder is a link out of the agents' folder.
    pub(super) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut ancestor = folder;
        while ancestor != self.root && self.disk.stat(ancestor).is_err() {
            missing.push(ancestor);
            ancestor = ancestor.parent().unwrap_or(&self.root);
        }
        for folder in missing.into_iter().rev() {
            self.disk.create_folder(folder)?;
            self.disk
                .sync_folder(folder.parent().unwrap_or(&self.root))?;
        }
        // An existing folder may be a symbolic link out of the agents' folder.
        if folder
            .canonicalize()?
            .starts_with(self.root.canonicalize()?)
        {
            Ok(())
        } else {
            Err(io::Error::other(
                "the folder is a link out of the agents' folder: \
                 replace the link by a folder inside it",
            ))
        }
    }
}
