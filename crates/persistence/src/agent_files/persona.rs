//! Reads personas from agents' files, and computes edits. Every function may block on the disk.

use domain::{AgentConfig, Error, RecentEvent, Result};

use super::{
    folder::AgentsFolder,
    path::AgentPath,
    stamps::{Hashes, hashes},
};
use crate::yaml::{self, AGENT, Persona, Texts};

/// A persona with the hashes of the files that it was read from.
pub(super) struct ReadPersona {
    pub(super) persona: Persona,
    pub(super) hashes: Hashes,
}

/// A computed edit of `memory.yaml`: the texts of all files before it, and the new text.
pub(super) struct MemoryEdit {
    pub(super) base: Texts,
    pub(super) memory: String,
    /// The oldest events, which the edit removes.
    pub(super) removed: Vec<RecentEvent>,
}

/// Reads and parses an agent's files. Returns `None` if there is no `agent.yaml`.
///
/// Fails with `Invalid` if the files have errors, or if `agent.yaml` contains another id than
/// `expected_id`.
pub(super) fn read_persona(
    folder: &AgentsFolder,
    path: &AgentPath,
    expected_id: Option<i64>,
) -> Result<Option<ReadPersona>> {
    let Some(texts) = folder.texts(path)? else {
        return Ok(None);
    };
    let persona =
        yaml::parse(&texts).map_err(|why| Error::Invalid(format!("{}: {why}", path.name)))?;
    if let Some(id) = expected_id
        && let Some(why) = id_mismatch(path, persona.id, id)
    {
        return Err(Error::Invalid(why));
    }
    Ok(Some(ReadPersona {
        persona,
        hashes: hashes(&texts),
    }))
}

impl AgentsFolder {
    /// Fails with `Invalid` if an agent's files have errors.
    pub(crate) fn check(&self, path: &AgentPath) -> Result<()> {
        read_persona(self, path, None).map(drop)
    }
}

/// Returns an error message if `agent.yaml` contains another id than `expected`. A file without an
/// id is accepted.
pub(super) fn id_mismatch(path: &AgentPath, found: Option<i64>, expected: i64) -> Option<String> {
    let found = found.filter(|found| *found != expected)?;
    Some(format!(
        "{}: {AGENT}: `id` must be {expected}, the id of this agent, got {found}",
        path.name
    ))
}

/// Reads the texts of an agent's files before a change. Fails with `Conflict` if `agent.yaml` is
/// missing, or if a file cannot be read.
pub(super) fn texts_to_change(folder: &AgentsFolder, path: &AgentPath) -> Result<Texts> {
    match folder.texts(path) {
        Ok(Some(texts)) => Ok(texts),
        Ok(None) => Err(Error::Conflict(format!(
            "{} is missing: restore the folder of {}, or delete the agent",
            path.config_file(),
            path.name
        ))),
        Err(Error::Invalid(why)) => Err(Error::Conflict(format!(
            "the files must be corrected before they can be changed: {why}"
        ))),
        Err(other) => Err(other),
    }
}

/// Parses texts that are about to be changed. Fails with `Conflict` if they have errors.
pub(super) fn parse_to_change(path: &AgentPath, texts: &Texts) -> Result<Persona> {
    yaml::parse(texts).map_err(|why| must_be_corrected(path, why))
}

/// Returns the `Conflict` for files whose errors prevent a change.
fn must_be_corrected(path: &AgentPath, why: impl std::fmt::Display) -> Error {
    Error::Conflict(format!(
        "{}: the files must be corrected before they can be changed: {why}",
        path.name
    ))
}

/// Returns the `Conflict` for a change that cannot be written into the files.
pub(super) fn cannot_be_written(path: &AgentPath, why: impl std::fmt::Display) -> Error {
    Error::Conflict(format!("{}: {why}", path.name))
}

/// Computes the text of `memory.yaml` with one more recent event, and without the oldest events
/// that an agent does not keep. Does not write the file.
pub(super) fn add_event(
    folder: &AgentsFolder,
    path: &AgentPath,
    event: RecentEvent,
) -> Result<MemoryEdit> {
    let base = texts_to_change(folder, path)?;
    let (recent_events, long_term_memories) =
        yaml::parse_memory(&base.memory).map_err(|why| must_be_corrected(path, why))?;
    let old = AgentConfig {
        recent_events,
        long_term_memories,
        ..AgentConfig::default()
    };
    let mut new = old.clone();
    new.recent_events.push(event);
    let removed = new.remove_oldest_events();
    let memory = yaml::edited_memory(&base.memory, &old, &new)
        .map_err(|why| cannot_be_written(path, why))?;
    Ok(MemoryEdit {
        base,
        memory,
        removed,
    })
}
