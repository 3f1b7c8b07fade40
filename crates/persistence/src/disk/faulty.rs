//! A disk that fails or stops at its n-th change, and forgets then what was not flushed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Disk, RealDisk, Stat};

/// What happens at the n-th change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every call fails from then on, as if the process had ended there.
    Stops,
    /// The same, and what was not flushed is gone, as if the power had failed.
    LosesPower,
    /// The disk is full, at this call only.
    IsFullOnce,
    /// The disk is full from then on, except for removing.
    IsFull,
}

pub(crate) struct FaultyDisk {
    fault: Fault,
    at: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    changes: usize,
    stopped: bool,
    reads: usize,
    /// The next file that is read is just being saved in place, and empty.
    is_saving: bool,
    /// How to take back what is not flushed, in the order in which it was done.
    volatile: Vec<Undo>,
}

/// What a change left behind that was not flushed, and the folder whose flush makes it last.
struct Undo {
    folder: PathBuf,
    file: Option<PathBuf>,
    take_back: Box<dyn FnOnce() + Send>,
}

impl FaultyDisk {
    pub(crate) fn new(fault: Fault, at: usize) -> Self {
        Self {
            fault,
            at,
            state: Mutex::default(),
        }
    }

    /// How many changes were tried.
    pub(crate) fn changes(&self) -> usize {
        self.state().changes
    }

    /// How many files were read.
    pub(crate) fn reads(&self) -> usize {
        self.state().reads
    }

    /// As if the file that is read next were just being saved in place.
    pub(crate) fn empties_next_read(&self) {
        self.state().is_saving = true;
    }

    /// Whether that is still to come.
    pub(crate) fn empties_a_read(&self) -> bool {
        self.state().is_saving
    }

    /// Whether the process ended.
    pub(crate) fn has_stopped(&self) -> bool {
        self.state().stopped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a change. `Err` if it is not to happen.
    fn enter(&self, removes: bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.stopped {
            return Err(io::Error::other("the process has ended"));
        }
        state.changes += 1;
        let is_here = state.changes == self.at;
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        match self.fault {
            Fault::Stops | Fault::LosesPower if is_here => {
                state.stopped = true;
                if self.fault == Fault::LosesPower {
                    state
                        .volatile
                        .drain(..)
                        .rev()
                        .for_each(|change| (change.take_back)());
                }
                Err(io::Error::other("the process ends here"))
            }
            Fault::IsFullOnce if is_here => full(),
            Fault::IsFull if state.changes >= self.at && !removes => full(),
            _ => Ok(state),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.state().stopped {
            Err(io::Error::other("the process has ended"))
        } else {
            Ok(())
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent()
        .expect("no test renames the root")
        .to_path_buf()
}

/// The content of a file, to be restored.
fn kept(path: &Path) -> impl FnOnce() + Send + use<> {
    let (path, bytes) = (path.to_path_buf(), fs::read(path).ok());
    move || drop(bytes.map(|bytes| fs::write(path, bytes)))
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.alive()?;
        self.state().reads += 1;
        if std::mem::take(&mut self.state().is_saving) {
            Ok(Vec::new())
        } else {
            RealDisk.read(path)
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.alive()?;
        RealDisk.stat(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
        self.alive()?;
        RealDisk.list(folder)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(false)?;
        if !path.is_dir() {
            let made = path.to_path_buf();
            let undo = Box::new(move || drop(fs::remove_dir_all(made)));
            state.volatile.push(Undo {
                folder: parent(path),
                file: None,
                take_back: undo,
            });
        }
        RealDisk.create_folder(path)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut state = match self.enter(false) {
            Ok(state) => state,
            Err(error) => {
                // Half of it is there all the same.
                if self.state().changes == self.at {
                    let _ = fs::write(path, &bytes[..bytes.len() / 2]);
                }
                return Err(error);
            }
        };
        let (emptied, removed) = (path.to_path_buf(), path.to_path_buf());
        let undo = Box::new(move || drop(fs::remove_file(removed)));
        state.volatile.push(Undo {
            folder: parent(path),
            file: None,
            take_back: undo,
        });
        let undo = Box::new(move || drop(fs::write(emptied, [])));
        state.volatile.push(Undo {
            folder: PathBuf::new(),
            file: Some(path.to_path_buf()),
            take_back: undo,
        });
        RealDisk.create(path, bytes)
    }

    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        let mut state = self.enter(false)?;
        state
            .volatile
            .retain(|change| change.file.as_deref() != Some(path));
        RealDisk.sync_file(file, path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(false)?;
        state.volatile.retain(|change| change.folder != path);
        RealDisk.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.enter(false)?;
        let restore = kept(to);
        let (old, new) = (from.to_path_buf(), to.to_path_buf());
        let undo = Box::new(move || {
            let _ = fs::rename(&new, &old);
            restore();
        });
        RealDisk.rename(from, to)?;
        state.volatile.push(Undo {
            folder: parent(to),
            file: None,
            take_back: undo,
        });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(true)?;
        let undo = Box::new(kept(path));
        RealDisk.remove_file(path)?;
        state.volatile.push(Undo {
            folder: parent(path),
            file: None,
            take_back: undo,
        });
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(true)?;
        let made = path.to_path_buf();
        RealDisk.remove_folder(path)?;
        state.volatile.push(Undo {
            folder: parent(path),
            file: None,
            take_back: Box::new(move || drop(fs::create_dir(made))),
        });
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        self.alive()?;
        RealDisk.lock(path)
    }
}
