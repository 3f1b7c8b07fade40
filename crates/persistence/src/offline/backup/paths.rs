//! The names in a backup, and helpers for files and folders.

use std::{fs, io, path::Path};

use domain::{Error, Result};
use tokio::task::spawn_blocking;

use crate::{
    agent_files::layout::{LOCK, LOST_AND_FOUND},
    offline::files::{failed, write_private},
    platform::sync_folder,
};

/// The file with the version of Greenroom that made a backup. It is written last, so a folder
/// without it is not a complete backup.
pub(super) const MANIFEST: &str = "backup.yaml";
/// The folder of a backup that contains the agents' files.
pub(super) const AGENTS: &str = "agents";
/// The file of a backup that contains an SQLite database.
pub(super) const SQLITE: &str = "database.sqlite";
/// The file of a backup that contains the output of `pg_dump`.
pub(super) const POSTGRES: &str = "database.pgdump";

/// Returns the error for a path that would be overwritten.
pub(super) fn exists(path: &Path) -> Error {
    Error::Conflict(format!(
        "{} exists and is not overwritten: move it away, or choose another path",
        path.display()
    ))
}

/// Returns `true` for names that do not count as contents of an agents' folder or a backup: the
/// lock file, and the folder `lost+found`, which many file systems contain.
pub(super) fn is_ignored(name: &std::ffi::OsStr) -> bool {
    name == LOCK || name == LOST_AND_FOUND
}

/// Fails with `Conflict` if `folder` is not empty, and with `Unavailable` if it is not a folder.
/// Succeeds if it does not exist.
pub(super) fn require_empty(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(folder)(error)),
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    match names.find(|name| !is_ignored(name)) {
        Some(_) => Err(exists(folder)),
        None => Ok(()),
    }
}

/// Removes everything in a folder that was empty before. Ignores errors, because the caller already
/// returns an earlier one.
pub(super) fn remove_contents(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_ignored(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
}

/// Writes a new file, and makes its content and its name durable.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        write_private(path, bytes)?;
        fs::File::open(path)?.sync_all()
    };
    write().map_err(failed(path))?;
    flush_parent(path)
}

/// Makes the name of a new file or folder durable.
pub(super) fn flush_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| parent != &Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    sync_folder(parent).map_err(failed(parent))
}

/// Runs blocking work on a separate thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| Error::unavailable(format!("the copy was interrupted: {error}")))?
}
