//! Reading agents' files, and checks for edits by other programs.

use std::path::{Path, PathBuf};

use domain::{Error, Result};

use super::{
    disk::{Stat, is_missing},
    folder::AgentsFolder,
    layout::CHANGE,
    path::AgentPath,
    stamps::{Hashes, PerFile},
};
use crate::yaml::{AGENT, GROUP, MEMORY, Texts};

/// The greatest size of `agent.yaml`, `memory.yaml` and `group.yaml`. Parsing a file takes about
/// ten times its size in memory.
pub(super) const MAX_TEXT_BYTES: u64 = 8 * 1024 * 1024;

/// The texts of `agent.yaml` and `memory.yaml`; `None` for a missing file.
pub(super) struct OwnTexts {
    pub(super) agent: Option<String>,
    pub(super) memory: Option<String>,
}

/// The result of [`AgentsFolder::probe`].
#[derive(Clone, Copy)]
pub(super) struct Probed {
    pub(super) is_changed: bool,
    /// The number of `stat` calls that the check took.
    pub(super) stat_calls: u32,
}

impl AgentsFolder {
    /// Reads an agent's files. Returns `None` if there is no `agent.yaml`.
    ///
    /// If a file cannot be read, fails with `Invalid` and not with `Unavailable`, because a file of
    /// one agent must not count as a failure of the whole store.
    ///
    /// If the content differs from the content last read or written, announces the agent as
    /// changed.
    pub(crate) fn texts(&self, path: &AgentPath) -> Result<Option<Texts>> {
        let _shared = self.read_contents();
        // The stats are taken before the files are read. If a file changes in between, its stats no
        // longer match, and the next check reads the file again.
        let stats = self.stats(path);
        tracing::trace!(target: "persistence::files", agent = %path.name, "read");
        let own = self.own_texts(path)?;
        let group = self.group(path)?;
        let contents = [own.agent.as_deref(), own.memory.as_deref(), Some(&*group)];
        self.stamps
            .record_read(path, stats, contents.map(|text| text.map(str::as_bytes)));
        Ok(own.agent.map(|agent| Texts {
            agent,
            memory: own.memory.unwrap_or_default(),
            group,
        }))
    }

    /// Reads `agent.yaml` and `memory.yaml`, from a valid change if there is one. The caller holds
    /// `contents`.
    pub(super) fn own_texts(&self, path: &AgentPath) -> Result<OwnTexts> {
        let folder = self.path_of(path);
        let change = folder.join(CHANGE);
        // A crash or a full disk may have left a valid change whose files are not moved into place
        // yet.
        let has_change = self.is_own_folder(&change);
        let text = |name: &str| {
            if has_change && let Some(text) = self.text(&change.join(name), path)? {
                return Ok(Some(text));
            }
            self.text(&folder.join(name), path)
        };
        Ok(OwnTexts {
            agent: text(AGENT)?,
            memory: text(MEMORY)?,
        })
    }

    /// Reads the `group.yaml` of the agent's group. Returns an empty text if there is no group or
    /// no such file.
    pub(crate) fn group(&self, path: &AgentPath) -> Result<String> {
        match self.group_file(path) {
            Some(file) => Ok(self.text(&file, path)?.unwrap_or_default()),
            None => Ok(String::new()),
        }
    }

    fn group_file(&self, path: &AgentPath) -> Option<PathBuf> {
        let group = path.group.as_ref()?;
        Some(self.root().join(group.as_str()).join(GROUP))
    }

    fn text(&self, file: &Path, agent: &AgentPath) -> Result<Option<String>> {
        let invalid = |why: String| {
            let name = file.file_name().unwrap_or_default().display();
            Error::Invalid(format!("{}: {name} {why}", agent.name))
        };
        match self.disk.read(file, MAX_TEXT_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| {
                invalid("is not valid UTF-8: save it with the encoding UTF-8".to_owned())
            }),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(invalid(format!("cannot be read: {error}"))),
        }
    }

    /// Returns the stats of the files that [`AgentsFolder::texts`] reads.
    pub(super) fn stats(&self, path: &AgentPath) -> PerFile<Option<Stat>> {
        self.files(path)
            .map(|file| file.and_then(|file| self.disk.stat(&file).ok()))
    }

    /// Returns the paths of the files that [`AgentsFolder::texts`] reads. The last one is `None`
    /// for an agent without a group.
    fn files(&self, path: &AgentPath) -> PerFile<Option<PathBuf>> {
        let folder = self.path_of(path);
        [
            Some(folder.join(AGENT)),
            Some(folder.join(MEMORY)),
            self.group_file(path),
        ]
    }

    /// Checks whether another program has changed an agent's files since they were last read or
    /// written. Reads the files only if their stats do not prove that they are unchanged. Each
    /// change is reported once.
    pub(super) fn probe(&self, path: &AgentPath) -> Probed {
        let _shared = self.read_contents();
        let stats = self.stats(path);
        Probed {
            is_changed: !self.stamps.is_unchanged(path, &stats) && self.rehash(path, stats),
            stat_calls: if path.group.is_some() { 3 } else { 2 },
        }
    }

    /// Returns `true` if another program has changed an agent's files, as [`AgentsFolder::probe`]
    /// does, but always reads them. Called after a file system event, because an edit can leave the
    /// stats as they were.
    pub(super) fn is_changed(&self, path: &AgentPath) -> bool {
        let _shared = self.read_contents();
        let stats = self.stats(path);
        self.rehash(path, stats)
    }

    /// Reads and hashes an agent's files, and returns `true` if they have changed. The caller holds
    /// `contents`, and has taken `stats` before the call.
    fn rehash(&self, path: &AgentPath, stats: PerFile<Option<Stat>>) -> bool {
        tracing::trace!(target: "persistence::probe", agent = %path.name, "hashed");
        let contents = self
            .files(path)
            .map(|file| file.and_then(|file| self.disk.read(&file, MAX_TEXT_BYTES).ok()));
        let contents = contents.each_ref().map(Option::as_deref);
        self.stamps.record_check(path, stats, contents)
    }

    /// Returns `true` if the stats of an agent's files prove that the files still have these
    /// hashes. Does not read the files.
    pub(super) fn is_unchanged_since(&self, path: &AgentPath, hashes: &Hashes) -> bool {
        let _shared = self.read_contents();
        self.stamps
            .is_unchanged_since(path, &self.stats(path), hashes)
    }
}
