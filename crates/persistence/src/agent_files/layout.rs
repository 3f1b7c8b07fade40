//! Names of hidden files and folders inside the agents' folder.
//!
//! ```text
//! .lock              locked by the process that changes files
//! .deleted/NAME-ID/  the folder of a deleted agent
//! [GROUP/]NAME/      the folder of an agent
//!   .FILE.new        the next content of FILE, not valid yet
//!   .change.new/     the next content of several files, not valid yet
//!   .change/         the same folder, valid since it got this name
//!     move           the path of the `agent.yaml` that the agent's folder moves to
//! ```

use std::path::{Path, PathBuf};

/// The file with the events that were removed from `memory.yaml`. Greenroom never parses it.
pub(crate) const ARCHIVE: &str = "memory-archive.yaml";
/// The file that a process locks while it changes files.
pub(crate) const LOCK: &str = ".lock";
/// The folder at the top of many file systems, which only root may read. It never contains agents.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";
/// The folder that deleted agents' folders are moved to.
pub(super) const DELETED: &str = ".deleted";
/// The folder of a valid change. Its files replace the agent's own.
pub(super) const CHANGE: &str = ".change";
/// The folder of a change that is not valid yet.
pub(super) const CHANGE_NEW: &str = ".change.new";
/// The file in a change that contains the new path of the agent's folder.
pub(crate) const MOVE: &str = "move";

/// Returns the path of a file's next content, `.FILE.new` beside the file.
pub(super) fn next_to(folder: &Path, file: &str) -> PathBuf {
    folder.join(format!(".{file}.new"))
}

/// Returns `true` for names of the form `.FILE.new`, which [`next_to`] returns.
pub(super) fn is_next(name: &str) -> bool {
    name.starts_with('.')
        && Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "new")
}
