//! Changes of agents' files in two steps. Preparing a change locks the folder and writes new files
//! beside the old ones, before the caller begins a transaction. Committing the change makes the new
//! files valid. Between the two steps, the caller updates the table.

use std::sync::Arc;

use domain::{AgentConfig, AgentId, Error, RecentEvent, Result};

use super::{
    change::StagedChange,
    file_store::{ChangePermit, FileStore},
    folder::{AgentsFolder, FolderLock, NamedFile},
    path::AgentPath,
    persona::{add_event, cannot_be_written, id_mismatch, parse_to_change, texts_to_change},
    registry::ValidPersona,
};
use crate::yaml::{self, AGENT, MEMORY, Persona, Texts};

/// A change whose files are written and flushed, but not valid yet. Dropping it removes the files.
pub(crate) struct PreparedChange {
    // Fields are dropped in this order, so the staged files are removed before the lock is
    // released.
    staged: StagedChange,
    lock: FolderLock,
    /// The persona after the change.
    pub(crate) config: Arc<AgentConfig>,
}

impl PreparedChange {
    /// Returns the lock of the agents' folder, which the change holds.
    pub(crate) fn lock(&self) -> FolderLock {
        self.lock.clone()
    }
}

/// The files of a new agent.
pub(crate) struct NewFiles {
    pub(crate) id: AgentId,
    pub(crate) path: AgentPath,
    pub(crate) config: AgentConfig,
    pub(crate) picture: Option<NamedFile>,
}

/// An agent's path before and after a change, and its new picture.
pub(crate) struct Edit {
    pub(crate) id: AgentId,
    pub(crate) from: AgentPath,
    /// Equal to `from` if the folder stays where it is.
    pub(crate) to: AgentPath,
    /// `None` leaves the picture as it is.
    pub(crate) picture: Option<NamedFile>,
}

impl FileStore {
    /// Prepares the files of a new agent. Fails with `Conflict` if the folder already contains an
    /// agent's files.
    pub(crate) async fn prepare_new(
        &self,
        permit: &ChangePermit,
        new: NewFiles,
    ) -> Result<PreparedChange> {
        self.write(permit, move |folder| prepare_new(folder, new))
            .await
    }

    /// Prepares a change of a persona. Fails with `Conflict` if the change cannot be written
    /// without losing text that a person wrote.
    pub(crate) async fn prepare_edit(
        &self,
        permit: &ChangePermit,
        edit: Edit,
        change: impl FnOnce(&mut AgentConfig) + Send + 'static,
    ) -> Result<PreparedChange> {
        self.write(permit, move |folder| prepare_edit(folder, edit, change))
            .await
    }

    /// Prepares to write an agent's id into its `agent.yaml`. An id in the file is replaced.
    pub(crate) async fn prepare_id(
        &self,
        permit: &ChangePermit,
        id: AgentId,
        path: AgentPath,
    ) -> Result<PreparedChange> {
        self.write(permit, move |folder| prepare_id(folder, id, &path))
            .await
    }

    /// Prepares to add a recent event to `memory.yaml`. Works even if `agent.yaml` has errors. Then
    /// the persona after the change is `last_valid` with the lists of the new `memory.yaml`.
    pub(crate) async fn prepare_event(
        &self,
        permit: &ChangePermit,
        (id, path): (AgentId, AgentPath),
        event: RecentEvent,
        last_valid: AgentConfig,
    ) -> Result<PreparedChange> {
        self.write(permit, move |folder| {
            prepare_event(folder, id, &path, event, last_valid)
        })
        .await
    }

    /// Makes a prepared change valid, by one rename. See [`AgentsFolder::commit`].
    pub(crate) async fn commit(
        &self,
        permit: &ChangePermit,
        id: AgentId,
        prepared: PreparedChange,
    ) -> Result<()> {
        let slot = self.registry.slot(id);
        self.mark_for_recovery();
        self.write(permit, move |folder| {
            // The slot is locked until the files are in place. Otherwise a reader could read the
            // old files and store the old persona after the new one.
            let mut slot = slot.blocking_lock();
            let committed = folder.commit(&prepared.lock, prepared.staged);
            let may_be_applied = match &committed {
                Ok(()) => true,
                Err(error) => error.may_be_applied(),
            };
            if may_be_applied {
                *slot = Some(ValidPersona {
                    config: prepared.config,
                    hashes: None,
                });
            }
            committed
        })
        .await
    }
}

/// Completes or discards an interrupted change of the agent. Fails with `Conflict` if the completed
/// change has moved the agent's folder. Recovery then updates the table before the next change.
fn finish(folder: &AgentsFolder, lock: &FolderLock, path: &AgentPath) -> Result<()> {
    if folder.finish(lock, path)? == *path {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "an interrupted change has moved the folder of {}: try again",
        path.name
    )))
}

fn prepare_new(folder: &AgentsFolder, new: NewFiles) -> Result<PreparedChange> {
    let NewFiles {
        id,
        path,
        config,
        picture,
    } = new;
    let lock = folder.lock()?;
    finish(folder, &lock, &path)?;
    folder.require_one_kind(&path)?;
    if !matches!(folder.texts(&path), Ok(None)) {
        return Err(Error::Conflict(format!(
            "{file} already exists: create the agent from it with `config_file`, or remove it",
            file = path.config_file()
        )));
    }
    let texts = yaml::print(Some(id.0), &config, folder.group(&path)?);
    let base = Texts {
        group: texts.group,
        ..Texts::default()
    };
    let mut files: Vec<_> = picture.into_iter().collect();
    files.extend([
        (MEMORY.to_owned(), texts.memory.into_bytes()),
        (AGENT.to_owned(), texts.agent.into_bytes()),
    ]);
    if let Some(occupied) = folder.occupied(&path, &files) {
        return Err(Error::Conflict(format!(
            "{} already exists, in a folder that is no agent's: move it away first",
            occupied.display()
        )));
    }
    let staged = folder.stage(&lock, &path, base, files, None)?;
    Ok(PreparedChange {
        staged,
        lock,
        config: Arc::new(config),
    })
}

fn prepare_edit(
    folder: &AgentsFolder,
    edit: Edit,
    change: impl FnOnce(&mut AgentConfig),
) -> Result<PreparedChange> {
    let Edit {
        id,
        from,
        to,
        picture,
    } = edit;
    let lock = folder.lock()?;
    finish(folder, &lock, &from)?;
    if from != to {
        folder.require_one_kind(&to)?;
    }
    let mut base = texts_to_change(folder, &from)?;
    // After the change, the defaults of the target's group apply to the persona.
    base.group = folder.group(&to)?;
    let old = parse_to_change(&from, &base)?;
    if let Some(why) = id_mismatch(&from, old.id, id.0) {
        return Err(Error::Conflict(why));
    }
    let mut new = Persona {
        id: Some(id.0),
        config: old.config.clone(),
    };
    change(&mut new.config);
    let edited = yaml::edited(&base, &old, &new).map_err(|why| cannot_be_written(&from, why))?;
    let mut files: Vec<_> = picture.into_iter().collect();
    for (name, before, after) in [
        (MEMORY, &base.memory, edited.memory),
        (AGENT, &base.agent, edited.agent),
    ] {
        if *before != after {
            files.push((name.to_owned(), after.into_bytes()));
        }
    }
    let target = (from != to).then_some(to);
    let staged = folder.stage(&lock, &from, base, files, target)?;
    Ok(PreparedChange {
        staged,
        lock,
        config: Arc::new(new.config),
    })
}

fn prepare_id(folder: &AgentsFolder, id: AgentId, path: &AgentPath) -> Result<PreparedChange> {
    let lock = folder.lock()?;
    finish(folder, &lock, path)?;
    let base = texts_to_change(folder, path)?;
    let old = parse_to_change(path, &base)?;
    let new = Persona {
        id: Some(id.0),
        config: old.config.clone(),
    };
    let edited = yaml::edited(&base, &old, &new).map_err(|why| cannot_be_written(path, why))?;
    let files = vec![(AGENT.to_owned(), edited.agent.into_bytes())];
    let staged = folder.stage(&lock, path, base, files, None)?;
    Ok(PreparedChange {
        staged,
        lock,
        config: Arc::new(new.config),
    })
}

fn prepare_event(
    folder: &AgentsFolder,
    id: AgentId,
    path: &AgentPath,
    event: RecentEvent,
    last_valid: AgentConfig,
) -> Result<PreparedChange> {
    let lock = folder.lock()?;
    finish(folder, &lock, path)?;
    let edit = add_event(folder, path, event)?;
    // Without this check, the other agent's persona would become this agent's last valid one.
    if let Some(why) = id_mismatch(path, yaml::id_of(&edit.base.agent), id.0) {
        return Err(Error::Conflict(why));
    }
    folder.archive(path, &edit.removed)?;
    let edited = Texts {
        memory: edit.memory.clone(),
        ..edit.base.clone()
    };
    let config = if let Ok(persona) = yaml::parse(&edited) {
        persona.config
    } else {
        let (recent_events, long_term_memories) =
            yaml::parse_memory(&edit.memory).map_err(|why| cannot_be_written(path, why))?;
        AgentConfig {
            recent_events,
            long_term_memories,
            ..last_valid
        }
    };
    let files = vec![(MEMORY.to_owned(), edit.memory.into_bytes())];
    let staged = folder.stage(&lock, path, edit.base, files, None)?;
    Ok(PreparedChange {
        staged,
        lock,
        config: Arc::new(config),
    })
}
