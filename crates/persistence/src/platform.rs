//! File system calls that differ between operating systems: permissions, inodes, and flushing of
//! folders.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::Path,
};

/// Returns options that create a file, or open an existing one for writing. Only its owner may
/// access a new file.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.create(true).write(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        do_not_wait(&mut options);
    }
    options
}

/// Makes opening a pipe return at once, even if no other process has opened it.
#[cfg(unix)]
fn do_not_wait(options: &mut OpenOptions) {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.cast_signed());
}

/// Creates a folder that only its owner may access.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a folder and its missing parents. Only the owner may access new folders.
pub(crate) fn private_folders(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Gives a file the mode and the owner of another file.
///
/// Only root may change the owner. Otherwise the file keeps its owner, and gets the other file's
/// group if this process belongs to the group.
#[cfg(unix)]
pub(crate) fn copy_access(file: &File, original: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let own = file.metadata()?;
    if own.uid() != original.uid() {
        let _ = fchown(file, Some(original.uid()), None);
    }
    if own.gid() != original.gid() {
        let _ = fchown(file, None, Some(original.gid()));
    }
    // The mode is set after the owner, because a change of the owner may reset the mode.
    file.set_permissions(original.permissions())
}

/// Gives a file the permissions of another file.
#[cfg(not(unix))]
pub(crate) fn copy_access(file: &File, original: &Metadata) -> io::Result<()> {
    file.set_permissions(original.permissions())
}

/// Opens a file for reading. Returns at once if the file is a pipe that no process writes to.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    do_not_wait(&mut options);
    options.open(path)
}

/// Returns `true` if this process may write to a file. Does not open the file.
#[cfg(unix)]
pub(crate) fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Returns `true` if this process may write to a file. Does not open the file.
#[cfg(not(unix))]
pub(crate) fn is_writable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.permissions().readonly())
}

/// Returns a file's inode.
#[cfg(unix)]
pub(crate) fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Returns 0, because this operating system has no inodes.
#[cfg(not(unix))]
pub(crate) fn inode(_: &Metadata) -> u64 {
    0
}

/// The identity of a file or folder: its device and its inode.
#[cfg(target_os = "linux")]
pub(crate) type FileId = (u64, u64);

/// Returns the identity of a file or folder.
#[cfg(target_os = "linux")]
pub(crate) fn file_id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

/// Flushes the entries of a folder. Does nothing on a file system that cannot flush folders, such
/// as some network file systems.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        Err(error) if cannot_flush(&error) => Ok(()),
        result => result,
    }
}

/// Returns `true` if the error says that a file system cannot flush folders.
#[cfg(unix)]
fn cannot_flush(error: &io::Error) -> bool {
    use rustix::io::Errno;

    [Errno::INVAL, Errno::BADF, Errno::NOTSUP, Errno::NOSYS]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Does nothing, because this operating system cannot flush folders.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_flushed_is_not_an_error_but_a_failed_flush_is() {
        let error = |errno: rustix::io::Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(cannot_flush(&error(rustix::io::Errno::INVAL)));
        assert!(!cannot_flush(&error(rustix::io::Errno::IO)));
    }
}
