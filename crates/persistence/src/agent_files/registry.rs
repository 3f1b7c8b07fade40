//! The living agents in memory: the paths of their folders, and their last valid personas.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{AgentConfig, AgentId, AgentName};

use super::{path::AgentPath, stamps::Hashes};
use crate::yaml::GROUP;

/// The paths of all living agents, and the last valid persona of each.
///
/// A persona stays in memory until its agent is deleted, because readers get it while the agent's
/// files are not valid.
#[derive(Default)]
pub(crate) struct AgentRegistry {
    /// The highest id that this process has given to a new agent, or found in `.deleted`.
    last_id: Mutex<i64>,
    paths: Mutex<HashMap<i64, AgentPath>>,
    personas: Mutex<HashMap<i64, PersonaSlot>>,
}

/// The last valid persona of one agent; empty until its files are read or written.
///
/// The slot is locked while the files are read or changed. So the slot always contains the newest
/// persona that any reader has received, and no reader receives an older one afterwards.
pub(super) type PersonaSlot = Arc<tokio::sync::Mutex<Option<ValidPersona>>>;

/// A persona that was read from an agent's files or written to them.
pub(super) struct ValidPersona {
    pub(super) config: Arc<AgentConfig>,
    /// The hashes of the files that the persona was read from. `None` if this process wrote the
    /// persona and has not read it back.
    pub(super) hashes: Option<Hashes>,
}

/// An agent with its path and its last valid persona.
pub(super) struct RegisteredAgent {
    pub(super) id: AgentId,
    pub(super) path: AgentPath,
    pub(super) slot: PersonaSlot,
}

impl AgentRegistry {
    /// Returns an id for a new agent: one more than the maximum of `highest`, which is the highest
    /// id in the table, and all ids that this method returned before. So no two agents get the same
    /// id, even if the first agent's COMMIT failed after its files were written.
    pub(crate) fn next_id(&self, highest: i64) -> AgentId {
        let mut last = self.lock_last_id();
        *last = highest.max(*last) + 1;
        AgentId(*last)
    }

    /// Keeps [`AgentRegistry::next_id`] from returning this id or a lower one.
    pub(crate) fn reserve_ids_up_to(&self, id: i64) {
        let mut last = self.lock_last_id();
        *last = id.max(*last);
    }

    /// Registers an agent that is being created or adopted. Its id may have belonged to an agent
    /// whose creation was rolled back, so older data of that id is removed first.
    pub(crate) fn register_new(&self, id: AgentId, path: AgentPath) {
        self.remove(id);
        self.set_path(id, path);
    }

    /// Registers an agent's path, or replaces the registered one.
    pub(crate) fn set_path(&self, id: AgentId, path: AgentPath) {
        self.lock_paths().insert(id.0, path);
    }

    /// Removes an agent that was deleted.
    pub(crate) fn remove(&self, id: AgentId) {
        self.lock_paths().remove(&id.0);
        self.lock_personas().remove(&id.0);
    }

    /// Returns an agent's last valid persona. Returns `None` if its files have not been valid since
    /// the start. Waits while the files are read or changed.
    pub(crate) async fn last_valid(&self, id: AgentId) -> Option<Arc<AgentConfig>> {
        let slot = self.slot(id);
        let persona = slot.lock().await;
        persona.as_ref().map(|persona| persona.config.clone())
    }

    /// Returns the registered agents other than `except` whose names
    /// [collide](AgentName::collides_with) with `name`. The result can contain agents whose
    /// creation failed, because they stay registered.
    pub(crate) fn colliding(&self, name: &AgentName, except: Option<AgentId>) -> Vec<AgentId> {
        let paths = self.lock_paths();
        let colliding = paths
            .iter()
            .filter(|(_, path)| path.name.collides_with(name));
        let ids = colliding.map(|(id, _)| AgentId(*id));
        ids.filter(|id| Some(*id) != except).collect()
    }

    pub(super) fn slot(&self, id: AgentId) -> PersonaSlot {
        self.lock_personas().entry(id.0).or_default().clone()
    }

    /// Returns the agents with these ids. Ids that are not registered are skipped.
    pub(super) fn registered(&self, ids: &[AgentId]) -> Vec<RegisteredAgent> {
        let paths = self.lock_paths();
        ids.iter()
            .filter_map(|&id| {
                let path = paths.get(&id.0)?.clone();
                let slot = self.slot(id);
                Some(RegisteredAgent { id, path, slot })
            })
            .collect()
    }

    /// Returns the paths of the agents with these ids. Ids that are not registered are skipped.
    pub(super) fn paths_of(&self, ids: &[AgentId]) -> Vec<(AgentId, AgentPath)> {
        let paths = self.lock_paths();
        ids.iter()
            .filter_map(|id| Some((*id, paths.get(&id.0)?.clone())))
            .collect()
    }

    /// Returns the paths of all agents.
    pub(super) fn paths(&self) -> Vec<AgentPath> {
        self.lock_paths().values().cloned().collect()
    }

    /// Returns the ids of the agents at these paths, in ascending order.
    pub(super) fn ids_at(&self, paths: &BTreeSet<AgentPath>) -> Vec<AgentId> {
        let mut ids: Vec<_> = self
            .lock_paths()
            .iter()
            .filter(|(_, path)| paths.contains(path))
            .map(|(id, _)| AgentId(*id))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the paths of the agents whose persona may have changed after a file system event.
    /// `event` is the path of the event, relative to the agents' folder.
    pub(super) fn paths_affected_by(&self, event: &Path) -> Vec<AgentPath> {
        let is_affected = |path: &&AgentPath| {
            let folder = path.folder();
            let group_file = path
                .group
                .as_ref()
                .map(|group| Path::new(group.as_str()).join(GROUP));
            event.starts_with(&folder)
                || folder.starts_with(event)
                || group_file.as_deref() == Some(event)
        };
        self.lock_paths()
            .values()
            .filter(is_affected)
            .cloned()
            .collect()
    }

    fn lock_last_id(&self) -> MutexGuard<'_, i64> {
        self.last_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the paths. A caller that needs both locks must acquire this one before the personas.
    fn lock_paths(&self) -> MutexGuard<'_, HashMap<i64, AgentPath>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_personas(&self) -> MutexGuard<'_, HashMap<i64, PersonaSlot>> {
        self.personas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
