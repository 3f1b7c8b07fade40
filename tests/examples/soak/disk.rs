//! The folder of the program, on a small disk if this process may mount one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// The size of the disk.
const SIZE: &str = "size=256m";

/// A new folder.
pub(crate) struct Disk {
    folder: TempDir,
    is_small: bool,
}

impl Disk {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(folder.path())
            .status();
        let is_small = mounted.is_ok_and(|status| status.success());
        if !is_small {
            println!("not run: full disks, because this user may not mount a small disk");
        }
        Ok(Self { folder, is_small })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns `true` if the disk can be filled.
    pub(crate) fn is_small(&self) -> bool {
        self.is_small
    }

    fn ballast(&self) -> PathBuf {
        self.folder().join("ballast")
    }

    /// Fills the disk.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let mut ballast = File::create(self.ballast())?;
        let block = vec![0; 4_096];
        loop {
            match ballast.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Frees the space that [`Disk::fill`] has taken.
    pub(crate) fn free(&self) -> io::Result<()> {
        fs::remove_file(self.ballast())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_small {
            // A lazy unmount, because the killed program's files may not be closed yet.
            let unmounted = Command::new("umount").arg("-l").arg(self.folder()).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                println!("{} cannot be unmounted", self.folder().display());
            }
        }
    }
}
