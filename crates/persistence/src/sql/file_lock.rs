//! The lock that keeps a second process from using an SQLite database.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use domain::{Error, Result};

#[cfg(target_os = "linux")]
use crate::inode_lock::InodeLock;
use crate::platform::private_file;

/// A lock on an SQLite database.
///
/// On Linux, the database file itself is locked, so that a process that uses another path to the
/// file cannot bypass the lock. On all systems, the file `PATH.lock` beside the database is also
/// locked.
pub(super) struct FileLock {
    beside: File,
    #[cfg(target_os = "linux")]
    database: InodeLock,
}

impl FileLock {
    /// Locks the existing database at `path` without waiting. Fails with `Conflict` if another
    /// process holds the lock.
    pub(super) fn acquire(path: &Path) -> Result<Self> {
        let in_use = || {
            Error::Conflict(format!(
                "another process uses this database ({}): \
                 stop that process or choose another database",
                path.display()
            ))
        };
        let beside = lock_beside(path)?.ok_or_else(in_use)?;
        Ok(Self {
            beside,
            #[cfg(target_os = "linux")]
            database: InodeLock::acquire(path)?.ok_or_else(in_use)?,
        })
    }

    /// Fails with `Unavailable` if the database file was moved, removed or replaced.
    pub(super) fn check(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        self.database.check()?;
        Ok(())
    }
}

/// Locks the file `PATH.lock`, and creates it if it is missing. Returns `None` if another process
/// holds the lock.
fn lock_beside(path: &Path) -> Result<Option<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let unavailable =
        |error: io::Error| Error::unavailable(format!("cannot lock {}: {error}", path.display()));
    let file = private_file()
        .truncate(false)
        .open(&path)
        .map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Unlocks explicitly, because closing the file may not release the lock: a child process
        // between fork and exec still holds the inherited file. An error is ignored, because the
        // kernel releases the lock when this process ends.
        let _ = self.beside.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_can_be_taken_though_a_child_process_has_inherited_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greenroom.db");
        std::fs::write(&path, "").unwrap();
        let lock = FileLock::acquire(&path).unwrap();
        let _inherited = lock.beside.try_clone().unwrap();
        let refused = FileLock::acquire(&path).map(drop);
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        drop(lock);
        FileLock::acquire(&path).unwrap();
    }
}
