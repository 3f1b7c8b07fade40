//! Access to the file system, with errors that name the path.

use std::{
    fs::{self, File, FileType},
    io::{self, Read},
    path::Path,
};

use domain::{Error, Result};

use crate::report::Report;

/// The greatest size of a file that is imported.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A file or a folder in a folder.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_folder: bool,
}

/// Returns the files and folders in a folder, sorted by name. Adds a line to the report for every
/// other entry. Symbolic links are not followed, because a link in a foreign folder may lead to any
/// file of this machine.
pub(crate) fn entries(folder: &Path, report: &mut Report) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            report.note(&entry.path(), "left out: its name is not valid UTF-8");
            continue;
        };
        if kind.is_file() || kind.is_dir() {
            entries.push(Entry {
                name,
                is_folder: kind.is_dir(),
            });
        } else {
            report.note(&entry.path(), format!("left out: {}", special(kind)));
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn special(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else {
        "neither a file nor a folder"
    }
}

/// Reads a file. Fails if it is longer than 16 MiB.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let mib = MAX_FILE_BYTES / 1024 / 1024;
        return Err(io::Error::other(format!("it is longer than {mib} MiB")));
    }
    Ok(bytes)
}

/// Returns the text of a file in UTF-8, or in UTF-16 with a byte order mark. Returns `None` for any
/// other encoding, and for a text with the character NUL, which is binary data.
///
/// Removes the byte order mark of UTF-16. A byte order mark in UTF-8 stays.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    let utf_16 = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units = bytes.chunks_exact(2);
        let is_whole = units.remainder().is_empty();
        let units: Vec<_> = units.map(|pair| unit([pair[0], pair[1]])).collect();
        is_whole.then(|| String::from_utf16(&units).ok()).flatten()
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => utf_16(u16::from_be_bytes, rest),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    text.filter(|text| !text.contains('\0'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf_8_or_utf_16_with_a_byte_order_mark() {
        let little: Vec<u8> = "\u{feff}하늘"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = "\u{feff}하늘"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in ["하늘".as_bytes(), &little, &big] {
            assert_eq!(decode(bytes).as_deref(), Some("하늘"));
        }
        for bytes in [
            &[0xb0, 0xa1][..],
            &little[..5],
            &[0xff, 0xfe, 0x00, 0xd8],
            b"a\0b",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
