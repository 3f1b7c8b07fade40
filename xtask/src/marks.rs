//! Records the parts of a long command that passed with the present sources, so that the command
//! continues where it was interrupted.

use std::{fs, path::PathBuf, process::Command};

use crate::steps::{target, top};

/// A folder with one file for each part that passed. The file identifies the sources with which the
/// part passed.
pub(crate) struct Marks {
    folder: PathBuf,
    sources: String,
    fresh: bool,
}

impl Marks {
    /// Opens the folder `name` inside the target folder. A mark is valid as long as the sources
    /// below `paths` do not change. With `fresh`, earlier marks are ignored.
    pub(crate) fn of(name: &str, paths: &[&str], fresh: bool) -> Result<Self, String> {
        let folder = target().join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self {
            folder,
            sources: sources(paths)?,
            fresh,
        })
    }

    /// Returns `true` if the part passed with the present sources.
    pub(crate) fn has_passed(&self, part: &str) -> bool {
        !self.fresh
            && fs::read_to_string(self.folder.join(part)).is_ok_and(|passed| passed == self.sources)
    }

    /// Records that the part passed with the present sources.
    pub(crate) fn pass(&self, part: &str) -> Result<(), String> {
        let mark = self.folder.join(part);
        fs::write(&mark, &self.sources).map_err(|error| format!("{}: {error}", mark.display()))
    }
}

/// Returns a text that identifies the sources below `paths`. It consists of their Git tree and
/// their uncommitted changes.
fn sources(paths: &[&str]) -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .arg("--")
            .args(paths)
            .current_dir(top())
            .output();
        let output = output.map_err(|error| format!("git: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    Ok(git(&["ls-tree", "HEAD"])? + &git(&["diff", "HEAD"])?)
}
