//! The agents' folder on the disk. Every method may block on the disk.

use std::{
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use domain::{Error, Result};

use super::{
    disk::{Disk, is_missing, unavailable},
    layout::{DELETED, LOCK},
    path::AgentPath,
    stamps::FileStamps,
};
use crate::platform::private_folders;

/// The greatest size of a picture. A longer file counts as missing.
const MAX_PICTURE_BYTES: u64 = 4 * 1024 * 1024;

/// The name and the content of a file in an agent's folder.
pub(crate) type NamedFile = (String, Vec<u8>);

/// The folder that contains one folder per agent, directly or inside a folder per group.
///
/// The module `read` contains the methods that read agents' files, the module `change` the methods
/// that change them.
pub(crate) struct AgentsFolder {
    root: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    /// Locked for reading while an agent's files are read, and for writing while files are moved
    /// into place. So no reader of this process sees a partly applied change.
    contents: RwLock<()>,
    pub(super) stamps: FileStamps,
}

/// A lock that excludes all other writers, in this and in other processes, until its last clone is
/// dropped.
#[derive(Clone)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "held, never read")] Arc<File>);

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

    /// Locks the folder, and creates it if it is missing. Fails with `Conflict` if another process
    /// holds the lock for several seconds.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        private_folders(&self.root).map_err(unavailable(&self.root))?;
        let path = self.root.join(LOCK);
        match self.disk.lock(&path) {
            Ok(file) => Ok(FolderLock(Arc::new(file))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(Error::Conflict(format!(
                    "another process is changing {}: try again",
                    self.root.display()
                )))
            }
            Err(error) => Err(unavailable(&path)(error)),
        }
    }

    pub(super) fn read_contents(&self) -> RwLockReadGuard<'_, ()> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_contents(&self) -> RwLockWriteGuard<'_, ()> {
        self.contents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
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
    /// agents' folder, or if the file cannot be read.
    pub(crate) fn picture(&self, path: &AgentPath, file: &str) -> Option<Vec<u8>> {
        let _shared = self.read_contents();
        let is_plain = Path::new(file)
            .components()
            .eq([Component::Normal(file.as_ref())]);
        let root = self.root.canonicalize().ok()?;
        let folder = self.path_of(path).canonicalize().ok()?;
        let picture = folder.join(file).canonicalize().ok()?;
        if !is_plain || picture.parent() != Some(folder.as_path()) || !folder.starts_with(root) {
            return None;
        }
        match self.disk.read(&picture, MAX_PICTURE_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(picture = %picture.display(), %error, "a picture cannot be read");
                None
            }
        }
    }

    /// Moves an agent's folder to `.deleted/NAME-ID`. Does nothing if the folder is missing. Fails
    /// with `Conflict` if the folder contains other agents' folders.
    pub(crate) fn set_aside(&self, _lock: &FolderLock, path: &AgentPath, id: i64) -> Result<()> {
        self.require_no_other_agents(path)?;
        let deleted = self.root.join(DELETED);
        self.create_folder(&deleted)?;
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

    /// Returns the highest id of the agents in `.deleted`, ignoring ids above `limit`; 0 if there
    /// is none. A new agent must not get one of these ids. Otherwise, recovery would treat the
    /// folder of the deleted agent as the folder of the new agent.
    pub(crate) fn highest_deleted_id(&self, limit: i64) -> Result<i64> {
        let folders = self.visible_folders(&self.root.join(DELETED))?;
        let id = |(name, _): &(String, PathBuf)| name.rsplit_once('-')?.1.parse().ok();
        let ids = folders.iter().filter_map(id).filter(|id| *id <= limit);
        Ok(ids.max().unwrap_or(0))
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
    /// Fails with `Conflict` if the folder is a link out of the agents' folder.
    pub(super) fn create_folder(&self, folder: &Path) -> Result<()> {
        self.create_missing(folder).map_err(unavailable(folder))?;
        // An existing folder may be a symbolic link out of the agents' folder.
        self.require_inside(folder)
    }

    fn create_missing(&self, folder: &Path) -> io::Result<()> {
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
        Ok(())
    }

    /// Returns the path of the file that a write to `file` replaces: `file` itself or, if it is a
    /// symbolic link, the link's target. Fails with `Conflict` if the link leads to no file, or out
    /// of the agents' folder.
    pub(super) fn destination(&self, file: &Path) -> Result<PathBuf> {
        let is_link = file
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return Ok(file.to_path_buf());
        }
        self.require_inside(file)?;
        file.canonicalize().map_err(unavailable(file))
    }

    /// Fails with `Conflict` if a file or folder is a symbolic link to nothing, or out of the
    /// agents' folder.
    pub(super) fn require_inside(&self, path: &Path) -> Result<()> {
        let root = self.root.canonicalize().map_err(unavailable(&self.root))?;
        let why = match path.canonicalize() {
            Ok(target) if target.starts_with(root) => return Ok(()),
            Ok(_) => "is a link out of the agents' folder".to_owned(),
            Err(error) => format!("leads to nothing: {error}"),
        };
        Err(Error::Conflict(format!(
            "{} {why}: replace it by a file or folder inside the agents' folder",
            path.display()
        )))
    }
}
