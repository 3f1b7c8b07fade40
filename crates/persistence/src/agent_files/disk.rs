//! The file system calls for the agents' folder. They are methods of a trait, so that tests can
//! make any of them fail.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use domain::Error;

use crate::platform::{
    copy_access, inode, open_at_once, private_file, private_folder, sync_folder,
};

/// The longest wait for the lock of the agents' folder. Other processes hold the lock for one
/// change, which takes milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts to acquire the lock.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// File system calls. Each of them may block.
pub(crate) trait Disk: Send + Sync {
    /// Returns the content of a file. Fails if the file is longer than `limit` bytes, or if it is
    /// not a regular file. Does not wait for the other end of a pipe.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Returns the modification time, size and inode of a file or folder. Follows symbolic links.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Lists the entries of a folder, in no particular order. Follows symbolic links.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// Creates one folder, which only its owner may enter. Succeeds if the folder exists.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that contains `bytes`, or replaces the content of an existing file. The
    /// content is durable only after [`Disk::sync_file`], the name only after
    /// [`Disk::sync_folder`].
    ///
    /// The file gets the mode and the owner of the file `like`. If `like` does not exist, only the
    /// owner may read the new file.
    fn create(&self, path: &Path, bytes: &[u8], like: &Path) -> io::Result<File>;
    /// Appends bytes to a file and flushes it. Creates a missing file, which only its owner may
    /// read.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Flushes the content of a file.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Flushes the entries of a folder, so that creations, renames and removals in it are durable.
    /// Does nothing on a file system that cannot flush folders.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or folder atomically. Replaces an existing file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder. Fails if it is not empty.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Acquires the lock on the file at `path`, and creates the file if it is missing. Fails with
    /// [`io::ErrorKind::WouldBlock`] if the lock is not free within [`LOCK_TIMEOUT`]. The lock also
    /// excludes other processes, and lasts until the returned file is dropped.
    fn lock(&self, path: &Path) -> io::Result<File>;
}

/// A file or folder that [`Disk::list`] returns.
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) is_folder: bool,
}

/// The metadata that reveals most changes of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) modified: SystemTime,
    pub(crate) size: u64,
    pub(crate) inode: u64,
}

/// The operating system's file system.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = open_at_once(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        // Reads at most one byte more than the limit. This byte shows that the file is too long.
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::other(format!(
                "it is longer than {} MiB",
                limit / 1024 / 1024
            )));
        }
        Ok(bytes)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = fs::metadata(path)?;
        Ok(Stat {
            modified: metadata.modified()?,
            size: metadata.len(),
            inode: inode(&metadata),
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        fs::read_dir(folder)?
            .map(|entry| {
                let path = entry?.path();
                let is_folder = path.is_dir();
                Ok(Entry { path, is_folder })
            })
            .collect()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match private_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn create(&self, path: &Path, bytes: &[u8], like: &Path) -> io::Result<File> {
        let mut file = private_file().truncate(true).open(path)?;
        if let Ok(metadata) = fs::metadata(like) {
            copy_access(&file, &metadata)?;
        }
        file.write_all(bytes)?;
        Ok(file)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = private_file().append(true).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        let file = private_file().truncate(false).open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if began.elapsed() >= LOCK_TIMEOUT => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY),
            }
        }
    }
}

/// Returns `true` if the error says that a file or one of its parent folders does not exist.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns a function that converts an I/O error at `path` to the error of a port. The error says
/// that nothing was applied.
pub(super) fn unavailable(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}
