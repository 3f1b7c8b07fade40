//! Access to the file system, with errors that name the path.

use std::{fs, io, path::Path};

use domain::{Error, Result};

/// An entry of a folder.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_folder: bool,
}

/// Returns the entries of a folder, sorted by name. Symbolic links are followed.
pub(crate) fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        entries.push(Entry {
            name: name.into_owned(),
            is_folder: path.is_dir(),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(failed(path))
}

/// Writes a file, and creates its folder if it is missing.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(failed(&path))
}

/// Returns a function that adds `path` to the message of an I/O error.
pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}
