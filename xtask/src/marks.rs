//! What passed for this state of the sources, so that a long command goes on where it was stopped.

use std::{fs, path::PathBuf, process::Command};

use crate::steps::{target, top};

/// One file per part that passed, which holds the sources that it passed with.
pub(crate) struct Marks {
    folder: PathBuf,
    sources: String,
    fresh: bool,
}

impl Marks {
    /// In a folder of that name, for the sources below `paths`; a fresh beginning knows of no mark.
    pub(crate) fn of(name: &str, paths: &[&str], fresh: bool) -> Result<Self, String> {
        let folder = target().join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self {
            folder,
            sources: sources(paths)?,
            fresh,
        })
    }

    pub(crate) fn has_passed(&self, part: &str) -> bool {
        !self.fresh
            && fs::read_to_string(self.folder.join(part)).is_ok_and(|passed| passed == self.sources)
    }

    pub(crate) fn pass(&self, part: &str) -> Result<(), String> {
        let mark = self.folder.join(part);
        fs::write(&mark, &self.sources).map_err(|error| format!("{}: {error}", mark.display()))
    }
}

/// What is committed below `paths`, and what was changed since.
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
