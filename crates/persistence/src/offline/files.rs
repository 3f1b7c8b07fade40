//! Writing of files, and errors that name the path.

use std::{
    io::{self, Write as _},
    path::Path,
};

use domain::Error;

use crate::platform::{private_file, private_folders};

/// Writes a file, and creates its missing folders. Only the owner may access new files and folders.
///
/// ```
/// # let folder = tempfile::tempdir().expect("a folder for the example");
/// let file = folder.path().join("agents/Ada/agent.yaml");
/// persistence::write_private(&file, b"priority: 5")?;
/// assert_eq!(std::fs::read(&file)?, b"priority: 5");
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private_folders(path.parent().unwrap_or(path))?;
    private_file().truncate(true).open(path)?.write_all(bytes)
}

/// Returns a function that converts an I/O error at `path` to the error of a port.
pub(super) fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}
