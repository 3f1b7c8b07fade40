//! A disk for tests. It fails at its n-th change, and can undo the changes that were not flushed
//! before.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::disk::{Disk, Entry, RealDisk, Stat};

/// The kind of failure at the n-th change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The process ends: this call and every later one fails.
    Stop,
    /// The power fails. Like [`DiskFault::Stop`], but changes that were not flushed are undone.
    PowerLoss,
    /// The disk is full, at this call only.
    FullOnce,
    /// The disk is full from this call on, except for removals.
    Full,
}

/// The real disk, with one fault at a given change.
pub(crate) struct FaultyDisk {
    fault: DiskFault,
    /// The number of the change at which the fault occurs, from 1.
    fault_at: usize,
    journal: Mutex<Journal>,
}

/// A record of the calls so far.
#[derive(Default)]
struct Journal {
    changes: usize,
    reads: usize,
    is_stopped: bool,
    /// `true` if the next read returns an empty file.
    empties_next_read: bool,
    /// Files and folders that cannot be read.
    denied: BTreeSet<PathBuf>,
    /// The functions that undo the unflushed changes, oldest change first.
    unflushed: Vec<Undo>,
}

/// An unflushed change, and the flush that makes it durable.
struct Undo {
    flushed_by: Flush,
    undo: Box<dyn FnOnce() + Send>,
}

#[derive(PartialEq, Eq)]
enum Flush {
    File(PathBuf),
    Folder(PathBuf),
}

/// The kind of a change: removals succeed even on a full disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    MayNeedSpace,
    Removal,
}

impl FaultyDisk {
    pub(crate) fn new(fault: DiskFault, fault_at: usize) -> Self {
        Self {
            fault,
            fault_at,
            journal: Mutex::default(),
        }
    }

    /// Returns a disk that never fails and counts its calls.
    pub(crate) fn without_fault() -> Self {
        Self::new(DiskFault::Stop, usize::MAX)
    }

    /// Returns the number of changes so far, failed ones included.
    pub(crate) fn changes(&self) -> usize {
        self.journal().changes
    }

    /// Returns the number of files read so far.
    pub(crate) fn reads(&self) -> usize {
        self.journal().reads
    }

    /// Makes the next read return an empty file, as if another program were saving the file in
    /// place.
    pub(crate) fn empty_next_read(&self) {
        self.journal().empties_next_read = true;
    }

    /// Returns `true` if no file was read since [`FaultyDisk::empty_next_read`] was called.
    pub(crate) fn empties_next_read(&self) -> bool {
        self.journal().empties_next_read
    }

    /// Makes every read of the file, or every listing of the folder, at `path` fail with
    /// `PermissionDenied`.
    pub(crate) fn deny(&self, path: impl Into<PathBuf>) {
        self.journal().denied.insert(path.into());
    }

    fn require_allowed(&self, path: &Path) -> io::Result<()> {
        self.require_running()?;
        if self.journal().denied.contains(path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }

    /// Returns `true` if the fault ended the process.
    pub(crate) fn is_stopped(&self) -> bool {
        self.journal().is_stopped
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a change. Returns an error if the change must fail.
    fn begin_change(&self, kind: ChangeKind) -> io::Result<MutexGuard<'_, Journal>> {
        let mut journal = self.journal();
        if journal.is_stopped {
            return Err(stopped());
        }
        journal.changes += 1;
        let is_faulty = journal.changes == self.fault_at;
        match self.fault {
            DiskFault::Stop if is_faulty => {
                journal.is_stopped = true;
                Err(stopped())
            }
            DiskFault::PowerLoss if is_faulty => {
                journal.is_stopped = true;
                for change in journal.unflushed.drain(..).rev() {
                    (change.undo)();
                }
                Err(stopped())
            }
            DiskFault::FullOnce if is_faulty => Err(io::ErrorKind::StorageFull.into()),
            DiskFault::Full
                if journal.changes >= self.fault_at && kind == ChangeKind::MayNeedSpace =>
            {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(journal),
        }
    }

    fn require_running(&self) -> io::Result<()> {
        if self.journal().is_stopped {
            Err(stopped())
        } else {
            Ok(())
        }
    }
}

impl Journal {
    fn push(&mut self, flushed_by: Flush, undo: impl FnOnce() + Send + 'static) {
        self.unflushed.push(Undo {
            flushed_by,
            undo: Box::new(undo),
        });
    }
}

fn stopped() -> io::Error {
    io::Error::other("the process has ended")
}

/// Returns the flush of the folder that contains `path`.
fn flush_of_parent(path: &Path) -> Flush {
    let parent = path.parent().expect("no test changes the root");
    Flush::Folder(parent.to_path_buf())
}

/// Returns a function that restores the current content of a file, if the file exists now.
fn restore(path: &Path) -> impl FnOnce() + Send + use<> {
    let (path, bytes) = (path.to_path_buf(), fs::read(path).ok());
    move || drop(bytes.map(|bytes| fs::write(path, bytes)))
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.require_allowed(path)?;
        let mut journal = self.journal();
        journal.reads += 1;
        if std::mem::take(&mut journal.empties_next_read) {
            return Ok(Vec::new());
        }
        drop(journal);
        RealDisk.read(path, limit)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.require_running()?;
        RealDisk.stat(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.require_allowed(folder)?;
        RealDisk.list(folder)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::MayNeedSpace)?;
        if !path.is_dir() {
            let created = path.to_path_buf();
            journal.push(flush_of_parent(path), move || {
                drop(fs::remove_dir_all(created));
            });
        }
        RealDisk.create_folder(path)
    }

    fn create(&self, path: &Path, bytes: &[u8], like: &Path) -> io::Result<File> {
        let mut journal = match self.begin_change(ChangeKind::MayNeedSpace) {
            Ok(journal) => journal,
            Err(error) => {
                // A failed write may leave half of the content in the file.
                if self.journal().changes == self.fault_at {
                    let _ = fs::write(path, &bytes[..bytes.len() / 2]);
                }
                return Err(error);
            }
        };
        let (emptied, removed) = (path.to_path_buf(), path.to_path_buf());
        journal.push(flush_of_parent(path), move || {
            drop(fs::remove_file(removed));
        });
        journal.push(Flush::File(path.to_path_buf()), move || {
            drop(fs::write(emptied, []));
        });
        RealDisk.create(path, bytes, like)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let _journal = self.begin_change(ChangeKind::MayNeedSpace)?;
        RealDisk.append(path, bytes)
    }

    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::MayNeedSpace)?;
        let flush = Flush::File(path.to_path_buf());
        journal
            .unflushed
            .retain(|change| change.flushed_by != flush);
        RealDisk.sync_file(file, path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::MayNeedSpace)?;
        let flush = Flush::Folder(path.to_path_buf());
        journal
            .unflushed
            .retain(|change| change.flushed_by != flush);
        RealDisk.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::MayNeedSpace)?;
        let restore = restore(to);
        RealDisk.rename(from, to)?;
        let (old, new) = (from.to_path_buf(), to.to_path_buf());
        journal.push(flush_of_parent(to), move || {
            let _ = fs::rename(&new, &old);
            restore();
        });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::Removal)?;
        let restore = restore(path);
        RealDisk.remove_file(path)?;
        journal.push(flush_of_parent(path), restore);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.begin_change(ChangeKind::Removal)?;
        RealDisk.remove_folder(path)?;
        let removed = path.to_path_buf();
        journal.push(flush_of_parent(path), move || drop(fs::create_dir(removed)));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        self.require_running()?;
        RealDisk.lock(path)
    }
}
