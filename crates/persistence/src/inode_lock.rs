//! A lock on the inode of a file or folder, whatever path leads to it.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{Error, Result};

use crate::platform::{FileId, file_id};

/// The files and folders that this process has locked.
///
/// A second attempt in the same process is refused before the file is opened. SQLite also locks the
/// database file, and the kernel releases SQLite's locks as soon as this process closes any
/// descriptor of the file.
static HELD: Mutex<BTreeSet<FileId>> = Mutex::new(BTreeSet::new());

/// A lock on a file or folder. The kernel releases the lock when the process ends.
///
/// Symbolic links, hard links and mounts of a file all lead to the same lock. A separate lock file
/// would be worse: a process that uses another path would look for another lock file, and the lock
/// would be lost if the lock file is removed.
pub(crate) struct InodeLock {
    file: File,
    id: FileId,
    path: PathBuf,
}

impl InodeLock {
    /// Locks the file or folder at `path` without waiting. Returns `None` if another process, or
    /// this one, holds the lock.
    pub(crate) fn acquire(path: &Path) -> Result<Option<Self>> {
        let unavailable =
            |error| Error::unavailable(format!("cannot lock {}: {error}", path.display()));
        let id = fs::metadata(path).map(|metadata| file_id(&metadata));
        let id = id.map_err(unavailable)?;
        if !held().insert(id) {
            return Ok(None);
        }
        let locked = File::open(path)
            .map_err(unavailable)
            .and_then(|file| match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(unavailable(error)),
            });
        match locked {
            Ok(Some(file)) => Ok(Some(Self {
                file,
                id,
                path: path.to_path_buf(),
            })),
            refused => {
                held().remove(&id);
                refused.map(|_| None)
            }
        }
    }

    /// Fails with `Unavailable` if the path now leads to another file or folder, or to none.
    /// Another process may have locked the other file or folder.
    pub(crate) fn check(&self) -> Result<()> {
        match fs::metadata(&self.path) {
            Ok(metadata) if file_id(&metadata) == self.id => Ok(()),
            _ => Err(Error::unavailable(format!(
                "{} was moved, removed or replaced while it is in use: restart the server",
                self.path.display()
            ))),
        }
    }
}

impl Drop for InodeLock {
    fn drop(&mut self) {
        // Unlocks explicitly, because a child process between fork and exec still holds the
        // inherited file. An error is ignored, because the kernel releases the lock when this
        // process ends.
        let _ = self.file.unlock();
        held().remove(&self.id);
    }
}

fn held() -> MutexGuard<'static, BTreeSet<FileId>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_refused_under_every_name_and_free_again_after_a_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (link, hard) = (folder.path().join("link"), folder.path().join("hard"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::hard_link(&path, &hard).unwrap();
        let lock = InodeLock::acquire(&path).unwrap().unwrap();
        for name in [&path, &link, &hard] {
            assert!(InodeLock::acquire(name).unwrap().is_none(), "{name:?}");
        }
        assert_eq!(lock.check(), Ok(()));
        fs::remove_file(&path).unwrap();
        assert!(lock.check().is_err());
        fs::write(&path, "").unwrap();
        assert!(lock.check().is_err(), "another file has the name");
        drop(lock);
        assert!(InodeLock::acquire(&hard).unwrap().is_some());
    }

    #[test]
    fn another_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = File::open(folder.path()).unwrap();
        other.lock().unwrap();
        assert!(InodeLock::acquire(folder.path()).unwrap().is_none());
        drop(other);
        assert!(InodeLock::acquire(folder.path()).unwrap().is_some());
    }
}
