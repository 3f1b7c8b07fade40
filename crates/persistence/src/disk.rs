//! The file system as the agents' folder uses it, so that a test can stop it at any call.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What is done with files. Every call may block.
pub(crate) trait Disk: Send + Sync {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// The names in a folder, and whether each is a folder; links count as what they lead to.
    fn list(&self, folder: &Path) -> io::Result<Vec<(PathBuf, bool)>>;
    /// One level; one that is there already is fine.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// A file that holds `bytes`, not flushed yet. One that is there already is emptied first.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File>;
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// An empty one.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Waits for the lock that the file at `path` stands for. Held until it is dropped, against other processes, too.
    fn lock(&self, path: &Path) -> io::Result<File>;
}

/// What tells cheaply whether a file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) modified: SystemTime,
    pub(crate) size: u64,
    pub(crate) inode: u64,
}

/// The operating system's.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let found = fs::metadata(path)?;
        Ok(Stat {
            modified: found.modified()?,
            size: found.len(),
            inode: inode(&found),
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
        fs::read_dir(folder)?
            .map(|entry| {
                let path = entry?.path();
                let is_folder = path.is_dir();
                Ok((path, is_folder))
            })
            .collect()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            created => created,
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
fn inode(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
pub(crate) mod faulty;
