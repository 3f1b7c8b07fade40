//! Atomic and durable changes of an agent's files.
//!
//! A change of one file writes the new content to `.FILE.new` beside the file, flushes it, and
//! renames it over the file.
//!
//! A change of several files, or one that moves the folder, also takes effect by one rename. The
//! new files are written into the folder `.change.new` and flushed. Renaming that folder to
//! `.change` makes the change valid: from then on, readers prefer the files in `.change`. Then
//! these files are moved into the agent's folder, and that folder is moved to the path in
//! `.change/move`. If a crash interrupts the moves, the next writer completes them
//! ([`AgentsFolder::finish`]).
//!
//! Each step is flushed before the next one begins. Otherwise a power failure could keep a later
//! step and lose an earlier one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{Error, RecentEvent, Result};

use super::{
    disk::{Disk, is_missing, unavailable},
    folder::{AgentsFolder, FolderLock, NamedFile},
    layout::{ARCHIVE, CHANGE, CHANGE_NEW, MOVE, is_next, next_to},
    path::AgentPath,
    read::MAX_TEXT_BYTES,
};
use crate::yaml::{self, AGENT, MEMORY, Texts};

/// The greatest size of the file `move`, which contains one path.
const MAX_MOVE_BYTES: u64 = 4096;

/// A change whose new files are written and flushed, but not valid yet. Dropping it removes the new
/// files.
pub(crate) struct StagedChange {
    disk: Arc<dyn Disk>,
    /// The agent's folder on the disk.
    folder: PathBuf,
    path: AgentPath,
    /// The path that the folder moves to; `None` if it stays.
    target: Option<AgentPath>,
    files: Vec<NamedFile>,
    /// The texts that the change was computed from.
    base: Texts,
    /// `true` while the disk contains staged files, which a drop must remove.
    is_pending: bool,
}

impl AgentsFolder {
    /// Completes or discards the changes in an agent's folder that a crash or an error interrupted.
    /// Returns the agent's path afterwards. It differs from `path` if a completed change moved the
    /// folder.
    pub(crate) fn finish(&self, _lock: &FolderLock, path: &AgentPath) -> Result<AgentPath> {
        let folder = self.path_of(path);
        let entries = match self.disk.list(&folder) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(path.clone()),
            Err(error) => return Err(unavailable(&folder)(error)),
        };
        let mut current = path.clone();
        for entry in entries {
            let name = entry.path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            let is_link = entry
                .path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_symlink());
            if is_link && (name == CHANGE || name == CHANGE_NEW) {
                // Greenroom makes no such links. One that a person made could lead anywhere.
                let _ = self.disk.remove_file(&entry.path);
            } else if entry.is_folder && name == CHANGE {
                let _exclusive = self.write_contents();
                current = self
                    .apply(&folder, path)
                    .map_err(unavailable(&entry.path))?;
            } else if entry.is_folder && name == CHANGE_NEW {
                discard(&*self.disk, &entry.path);
            } else if is_next(name) {
                let _ = self.disk.remove_file(&entry.path);
            }
        }
        Ok(current)
    }

    /// Writes and flushes new files beside an agent's old ones. Readers do not see them yet.
    ///
    /// `base` holds the texts that the change was computed from. For a new agent, only the group's
    /// text is set. If the folder moves, the group's text is the one at `target`. Creates the
    /// agent's folder if it is missing.
    ///
    /// Fails with `Conflict` if a file is a link out of the agents' folder, or if the folder moves
    /// and contains other agents' folders.
    pub(crate) fn stage(
        &self,
        _lock: &FolderLock,
        path: &AgentPath,
        base: Texts,
        files: Vec<NamedFile>,
        target: Option<AgentPath>,
    ) -> Result<StagedChange> {
        let mut staged = StagedChange {
            disk: self.disk.clone(),
            folder: self.path_of(path),
            path: path.clone(),
            is_pending: false,
            target,
            files,
            base,
        };
        if staged.target.is_some() {
            self.require_no_other_agents(path)?;
        }
        let is_too_long = |(name, bytes): &&NamedFile| {
            [AGENT, MEMORY].contains(&name.as_str()) && bytes.len() as u64 > MAX_TEXT_BYTES
        };
        if let Some((name, _)) = staged.files.iter().find(is_too_long) {
            let mib = MAX_TEXT_BYTES / 1024 / 1024;
            return Err(Error::Conflict(format!(
                "{}: {name} would be longer than {mib} MiB: shorten it first",
                path.name
            )));
        }
        staged.is_pending = !staged.files.is_empty() || staged.target.is_some();
        if staged.is_pending {
            // If one of these calls fails, `staged` is dropped, which removes the files written so
            // far.
            self.create_folder(&staged.folder)?;
            for (name, _) in &staged.files {
                self.destination(&staged.folder.join(name))?;
            }
            staged.write().map_err(unavailable(&staged.folder))?;
        }
        Ok(staged)
    }

    /// Makes a staged change valid. Fails with `Conflict` if another program has changed the files
    /// since they were read, or if the target of a move exists.
    ///
    /// The error says whether the change may have been applied.
    pub(crate) fn commit(&self, _lock: &FolderLock, mut staged: StagedChange) -> Result<()> {
        let _exclusive = self.write_contents();
        let folder = staged.folder.clone();
        self.require_base(&staged)?;
        if !staged.is_pending {
            return Ok(());
        }
        self.require_free_target(&staged)?;
        let (from, to) = match staged.single_file() {
            Some(name) => (
                next_to(&folder, name),
                self.destination(&folder.join(name))?,
            ),
            None => (folder.join(CHANGE_NEW), folder.join(CHANGE)),
        };
        // This rename makes the change valid. If a crash comes earlier, `finish` discards the
        // staged files. If it comes later, `finish` completes the change.
        self.disk.rename(&from, &to).map_err(unavailable(&to))?;
        staged.is_pending = false;
        let unknown = |error| Error::unknown(unavailable(&folder)(error));
        let current = if staged.single_file().is_some() {
            if let Some(elsewhere) = to.parent().filter(|parent| *parent != folder) {
                self.disk.sync_folder(elsewhere).map_err(unknown)?;
            }
            staged.path.clone()
        } else {
            // The rename must be durable before files are moved out of `.change`. Otherwise a power
            // failure could preserve the moves but undo the rename, and the change would be applied
            // in part.
            self.disk.sync_folder(&folder).map_err(unknown)?;
            self.apply(&folder, &staged.path).map_err(unknown)?
        };
        let written = staged
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        self.stamps
            .record_write(&staged.path, &current, self.stats(&current), written);
        // Makes the rename of a single file, or the removal of `.change`, durable.
        self.disk
            .sync_folder(&self.path_of(&current))
            .map_err(unknown)
    }

    /// Appends events to an agent's `memory-archive.yaml`, before they are removed from its
    /// `memory.yaml`. If the removal fails, the events are in both files.
    pub(super) fn archive(&self, path: &AgentPath, events: &[RecentEvent]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let file = self.destination(&self.path_of(path).join(ARCHIVE))?;
        let text = yaml::print_archive(events);
        self.disk
            .append(&file, text.as_bytes())
            .map_err(unavailable(&file))
    }

    fn require_base(&self, staged: &StagedChange) -> Result<()> {
        let current = self.own_texts(&staged.path).and_then(|own| {
            Ok(Texts {
                agent: own.agent.unwrap_or_default(),
                memory: own.memory.unwrap_or_default(),
                group: self.group(staged.target.as_ref().unwrap_or(&staged.path))?,
            })
        });
        match current {
            Ok(current) if current == staged.base => return Ok(()),
            // The files have changed, or one of them cannot be read any more.
            Ok(_) | Err(Error::Invalid(_)) => {}
            Err(other) => return Err(other),
        }
        Err(Error::Conflict(format!(
            "another program changed the files of {} during this change: try again",
            staged.path.name
        )))
    }

    fn require_free_target(&self, staged: &StagedChange) -> Result<()> {
        if let Some(target) = &staged.target {
            let folder = self.path_of(target);
            if self.disk.stat(&folder).is_ok() {
                return Err(Error::Conflict(format!(
                    "the folder {} already exists: remove it or choose another name",
                    folder.display()
                )));
            }
        }
        Ok(())
    }

    /// Moves the files in `.change` into the agent's folder, and moves that folder to its target.
    /// Returns the agent's path afterwards. After a failure at any step, the call can be repeated.
    ///
    /// The caller holds `contents` exclusively.
    fn apply(&self, folder: &Path, path: &AgentPath) -> io::Result<AgentPath> {
        let disk = &*self.disk;
        let change = folder.join(CHANGE);
        let mut target = None;
        for entry in disk.list(&change)? {
            match entry.path.file_name() {
                Some(name) if name == MOVE => {
                    let text = disk.read(&entry.path, MAX_MOVE_BYTES)?;
                    target = AgentPath::parse(&String::from_utf8_lossy(&text)).ok();
                }
                Some(name) => {
                    let file = folder.join(name);
                    // If the file has become a link out of the agents' folder since the change
                    // was staged, the rename replaces the link itself.
                    let to = self.destination(&file).unwrap_or(file);
                    disk.rename(&entry.path, &to)?;
                    if let Some(elsewhere) = to.parent().filter(|parent| *parent != folder) {
                        disk.sync_folder(elsewhere)?;
                    }
                }
                None => {}
            }
        }
        // The moved files must be durable before the folder moves or `.change` is removed.
        disk.sync_folder(folder)?;
        let current = match target.filter(|target| target != path) {
            Some(target) => self.move_to_target(folder, path, target)?,
            None => path.clone(),
        };
        // `move` is removed after the folder has moved, because a repeated call needs the target.
        let change = self.path_of(&current).join(CHANGE);
        let target_file = change.join(MOVE);
        if disk.stat(&target_file).is_ok() {
            disk.remove_file(&target_file)?;
        }
        disk.remove_folder(&change)?;
        Ok(current)
    }

    /// Moves an agent's folder to `target`, and returns `target`. If a folder exists there, only
    /// logs a warning and returns `path`.
    fn move_to_target(
        &self,
        folder: &Path,
        path: &AgentPath,
        target: AgentPath,
    ) -> io::Result<AgentPath> {
        let disk = &*self.disk;
        let target_folder = self.path_of(&target);
        if disk.stat(&target_folder).is_ok() {
            tracing::warn!(
                folder = %folder.display(),
                target = %target_folder.display(),
                "an agent's folder keeps its name, because a folder with the new name exists: \
                 remove that folder or rename the agent again"
            );
            return Ok(path.clone());
        }
        let parent = target_folder.parent().unwrap_or(self.root());
        // The folder of a new group must be durable before an agent moves into it.
        disk.create_folder(parent)?;
        disk.sync_folder(self.root())?;
        disk.rename(folder, &target_folder)?;
        // The new parent is flushed first. `AgentsFolder::move_folder` explains this order.
        disk.sync_folder(parent)?;
        disk.sync_folder(folder.parent().unwrap_or(self.root()))?;
        Ok(target)
    }
}

impl StagedChange {
    /// Returns the name of the file if the change consists of one file and no move. Such a change
    /// needs no folder `.change`, which makes changes of several files atomic: renaming one file is
    /// atomic anyway.
    fn single_file(&self) -> Option<&str> {
        match &self.files[..] {
            [(name, _)] if self.target.is_none() => Some(name),
            _ => None,
        }
    }

    fn write(&self) -> io::Result<()> {
        // A new file gets the mode and the owner of the file that it replaces.
        let write_durably = |path: &Path, name: &str, bytes: &[u8]| {
            let file = self.disk.create(path, bytes, &self.folder.join(name))?;
            self.disk.sync_file(&file, path)
        };
        if self.single_file().is_some() {
            return self.files.iter().try_for_each(|(name, bytes)| {
                write_durably(&next_to(&self.folder, name), name, bytes)
            });
        }
        let folder = self.folder.join(CHANGE_NEW);
        self.disk.create_folder(&folder)?;
        for (name, bytes) in &self.files {
            write_durably(&folder.join(name), name, bytes)?;
        }
        if let Some(target) = &self.target {
            write_durably(&folder.join(MOVE), MOVE, target.config_file().as_bytes())?;
        }
        // The file names must be durable before the folder is renamed to `.change`.
        self.disk.sync_folder(&folder)
    }
}

impl Drop for StagedChange {
    fn drop(&mut self) {
        if !self.is_pending {
            return;
        }
        // Errors are ignored, because `finish` later discards the files that are left.
        match self.single_file() {
            Some(name) => drop(self.disk.remove_file(&next_to(&self.folder, name))),
            None => discard(&*self.disk, &self.folder.join(CHANGE_NEW)),
        }
        // Removes the agent's folder if it is empty, as it is if `stage` has created it. For any
        // other folder the call fails, and the error is ignored.
        let _ = self.disk.remove_folder(&self.folder);
    }
}

/// Removes a folder of staged files that never became valid. Ignores errors.
fn discard(disk: &dyn Disk, folder: &Path) {
    for entry in disk.list(folder).unwrap_or_default() {
        let _ = disk.remove_file(&entry.path);
    }
    let _ = disk.remove_folder(folder);
}
