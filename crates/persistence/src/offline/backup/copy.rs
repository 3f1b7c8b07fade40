//! A copy of a folder with everything in it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use domain::Result;

use super::failed;
use crate::platform::{copy_access, private_file, private_folders, sync_folder};

/// The outcome of a copy.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) files: usize,
    /// The paths of what is neither a file, a folder nor a link.
    pub(super) left_out: Vec<PathBuf>,
}

/// Copies the folder `from` to `to`, with modes and links, and makes the copy durable. Copies
/// nothing if `from` does not exist.
///
/// A link is copied as a link, even if it leads to nothing. The file `.lock` at the top is not
/// copied, because only the process that holds it uses it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<Copied> {
    let mut copied = Copied::default();
    if from.is_dir() {
        copy_folder(from, to, true, &mut copied)?;
    }
    Ok(copied)
}

fn copy_folder(from: &Path, to: &Path, is_top: bool, copied: &mut Copied) -> Result<()> {
    private_folders(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target, false, copied)?;
        } else if kind.is_symlink() {
            copy_link(&source, &target).map_err(failed(&source))?;
        } else if !kind.is_file() {
            copied.left_out.push(source);
        } else if !(is_top && entry.file_name() == ".lock") {
            copy_file(&source, &target).map_err(failed(&source))?;
            copied.files += 1;
        }
    }
    let access = || {
        let original = fs::metadata(from)?;
        copy_access(&File::open(to)?, &original)?;
        sync_folder(to)
    };
    access().map_err(failed(to))
}

pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = private_file().create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    copy_access(&target, &source.metadata()?)?;
    target.sync_all()
}

#[cfg(unix)]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

/// Copies the file that the link leads to.
#[cfg(not(unix))]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    copy_file(from, to)
}
