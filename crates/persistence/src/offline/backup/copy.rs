//! Copies of files and folders, with their modes, owners and links.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use domain::Result;

use super::paths::is_ignored;
use crate::{
    offline::files::failed,
    platform::{copy_access, private_file, private_folders, sync_folder},
};

/// The outcome of a copy.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) files: usize,
    /// The paths that were not copied, or only as a link, each with the reason.
    pub(super) left_out: Vec<(PathBuf, String)>,
}

/// Copies the folder `from` to `to`. Copies nothing if `from` does not exist.
///
/// Leaves out folders that cannot be listed, files that cannot be opened, and special files such as
/// pipes.
///
/// On Unix, a link is copied as a link. If it leads out of the folder or to nothing, it is also
/// reported, because the copy does not contain its target.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<Copied> {
    let mut copied = Copied::default();
    if from.is_dir() {
        let root = from.canonicalize().map_err(failed(from))?;
        copy_folder(from, to, &root, &mut copied)?;
    }
    Ok(copied)
}

/// Copies one folder and its subfolders. `root` is the canonical path of the topmost folder.
///
/// Fails if the copy cannot be written, or if an opened file or folder cannot be read to its end.
fn copy_folder(from: &Path, to: &Path, root: &Path, copied: &mut Copied) -> Result<()> {
    private_folders(to).map_err(failed(to))?;
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) => {
            copied
                .left_out
                .push((from.to_path_buf(), error.to_string()));
            return Ok(());
        }
    };
    let is_top = from.canonicalize().is_ok_and(|folder| folder == root);
    for entry in entries {
        let entry = entry.map_err(failed(from))?;
        if is_top && is_ignored(&entry.file_name()) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target, root, copied)?;
        } else if kind.is_symlink() {
            copy_link(&source, &target).map_err(failed(&source))?;
            if !source
                .canonicalize()
                .is_ok_and(|target| target.starts_with(root))
            {
                let why = "a link out of the agents' folder: only the link was copied";
                copied.left_out.push((source, why.to_owned()));
            }
        } else if !kind.is_file() {
            copied
                .left_out
                .push((source, "neither a file nor a folder".to_owned()));
        } else {
            match File::open(&source) {
                Ok(file) => {
                    write_copy(file, &target).map_err(failed(&target))?;
                    copied.files += 1;
                }
                Err(error) => copied.left_out.push((source, error.to_string())),
            }
        }
    }
    let access = || copy_access(&File::open(to)?, &fs::metadata(from)?);
    access().map_err(failed(to))
}

/// Copies a file with its mode and owner, and makes the content durable. Fails if `to` exists.
pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    write_copy(File::open(from)?, to)?;
    File::open(to)?.sync_all()
}

fn write_copy(mut source: File, to: &Path) -> io::Result<()> {
    let mut target = private_file().create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    copy_access(&target, &source.metadata()?)
}

/// Makes a copied folder and its content durable. Does nothing if the folder does not exist.
pub(super) fn sync_tree(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            let sync = || File::open(&path)?.sync_all();
            sync().map_err(failed(&path))?;
        }
    }
    sync_folder(folder).map_err(failed(folder))
}

#[cfg(unix)]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

/// Copies the file that the link leads to.
#[cfg(not(unix))]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    write_copy(File::open(from)?, to)
}
