//! The file system calls for the agents' folder. They are methods of a trait, so that tests can
//! make any of them fail.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use domain::Error;

/// File system calls. Each of them may block.
pub(crate) trait Disk: Send + Sync {
    /// Returns the content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Returns the modification time, size and inode of a file or folder. Follows symbolic links.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Lists the entries of a folder, in no particular order. Follows symbolic links.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// Creates one folder. Succeeds if the folder exists.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that contains `bytes`, or replaces the content of an existing file. The
    /// content is durable only after [`Disk::sync_file`], the name only after
    /// [`Disk::sync_folder`].
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File>;
    /// Flushes the content of a file.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Flushes the entries of a folder, so that creations, renames and removals in it are durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or folder atomically. Replaces an existing file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder. Fails if it is not empty.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Acquires the lock on the file at `path`, and creates the file if it is missing. Waits
    /// without a time limit. The lock also excludes other processes, and lasts until the returned
    /// file is dropped.
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
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
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
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
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
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.lock()?;
        Ok(file)
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
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
