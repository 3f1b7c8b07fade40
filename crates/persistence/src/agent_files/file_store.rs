//! Async access to the agents' folder. Blocking work runs on Tokio's blocking threads.

#[cfg(target_os = "linux")]
use std::sync::OnceLock;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use domain::{AgentConfig, AgentId, ConfigFile, Error, Result};
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

use super::{
    folder::AgentsFolder,
    listing::Listing,
    path::AgentPath,
    persona::read_persona,
    probe::Probe,
    registry::{AgentRegistry, RegisteredAgent, ValidPersona},
    watch::FolderWatcher,
};
#[cfg(target_os = "linux")]
use crate::inode_lock::InodeLock;
use crate::yaml::Persona;

/// The agents' folder together with the state in memory. All methods that access the disk are
/// async.
pub(crate) struct FileStore {
    pub(crate) folder: Arc<AgentsFolder>,
    pub(crate) registry: Arc<AgentRegistry>,
    /// Locked while a [`ChangePermit`] exists.
    changes: Arc<Mutex<()>>,
    /// Locked for reading by each write until its last system call has returned. `settle` waits for
    /// all writes by locking it for writing.
    running_writes: Arc<RwLock<()>>,
    watcher: FolderWatcher,
    probe: Arc<std::sync::Mutex<Probe>>,
    /// `true` from the moment before a write changes files until its outcome is known. If the
    /// outcome stays unknown, files and table may differ.
    ///
    /// All accesses are `SeqCst`. There are two for each change of a file, so a weaker ordering
    /// would save nothing measurable.
    needs_recovery: AtomicBool,
    /// `true` if the last recovery left an interrupted change of an agent as it was. Unlike
    /// `needs_recovery`, it is cleared by a recovery alone.
    is_recovery_incomplete: AtomicBool,
    /// The lock that keeps a second process with another database from using the folder.
    #[cfg(target_os = "linux")]
    claim: OnceLock<InodeLock>,
}

/// A permit to change agents' files. There is one per process, so changes run one after another.
///
/// A change holds the permit from before it reads the persona until its transaction has ended.
/// Clones share the permit. If the change is cancelled, its blocking calls keep the permit until
/// they return. So the next change sees all files that the cancelled change wrote.
#[derive(Clone)]
pub(crate) struct ChangePermit {
    #[expect(dead_code, reason = "held, never read")]
    guard: Arc<OwnedMutexGuard<()>>,
}

impl FileStore {
    pub(crate) fn new(folder: AgentsFolder) -> Self {
        Self {
            folder: Arc::new(folder),
            registry: Arc::default(),
            changes: Arc::default(),
            running_writes: Arc::default(),
            watcher: FolderWatcher::default(),
            probe: Arc::default(),
            needs_recovery: AtomicBool::new(false),
            is_recovery_incomplete: AtomicBool::new(false),
            #[cfg(target_os = "linux")]
            claim: OnceLock::new(),
        }
    }

    /// Claims the folder for this process until the store is dropped, and creates the folder if it
    /// is missing. Fails with `Conflict` if another process uses the folder with another database.
    /// Two such processes would assign the same ids to different agents.
    #[cfg(target_os = "linux")]
    pub(crate) fn claim(&self) -> Result<()> {
        let root = self.folder.root();
        crate::platform::private_folders(root).map_err(super::disk::unavailable(root))?;
        let claim = InodeLock::acquire(root)?.ok_or_else(|| {
            Error::Conflict(format!(
                "another process uses the agents' folder {}: \
                 stop that process or choose another folder",
                root.display()
            ))
        })?;
        // Only the first call sets the lock. A second call would have been refused above.
        let _ = self.claim.set(claim);
        Ok(())
    }

    /// Does nothing on this operating system.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn claim(&self) -> Result<()> {
        Ok(())
    }

    /// Fails with `Unavailable` if the folder was moved or replaced since it was claimed.
    pub(crate) fn check_claim(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(claim) = self.claim.get() {
            claim.check()?;
        }
        Ok(())
    }

    /// Waits until no other change is running, and returns the permit. Acquire the permit before
    /// the change begins its transaction.
    pub(crate) async fn change_permit(&self) -> ChangePermit {
        let guard = self.changes.clone().lock_owned().await;
        ChangePermit {
            guard: Arc::new(guard),
        }
    }

    /// Returns `true` if files and table may differ, because the outcome of a change is unknown.
    pub(crate) fn needs_recovery(&self) -> bool {
        // `SeqCst`, like the stores. The flag is read once per write, so the ordering costs nothing
        // measurable.
        self.needs_recovery.load(Ordering::SeqCst)
            || self.is_recovery_incomplete.load(Ordering::SeqCst)
    }

    /// Records that files are about to change. [`FileStore::record_outcome`] clears the flag when
    /// the outcome is known.
    pub(super) fn mark_for_recovery(&self) {
        self.needs_recovery.store(true, Ordering::SeqCst);
    }

    /// Records the outcome of a change. The caller holds the [`ChangePermit`].
    ///
    /// A cancelled change does not call this method, so the flag stays set, and the next change
    /// recovers.
    pub(crate) fn record_outcome<T>(&self, outcome: &Result<T>) {
        let is_unknown = outcome.as_ref().is_err_and(Error::may_be_applied);
        if !is_unknown {
            self.needs_recovery.store(false, Ordering::SeqCst);
        }
    }

    /// Records a recovery. `is_complete` is `false` if an interrupted change of an agent could not
    /// be completed. The caller holds the [`ChangePermit`].
    pub(crate) fn record_recovery(&self, is_complete: bool) {
        self.needs_recovery.store(false, Ordering::SeqCst);
        self.is_recovery_incomplete
            .store(!is_complete, Ordering::SeqCst);
    }

    /// Returns `true` if the last recovery was incomplete.
    pub(crate) fn is_recovery_incomplete(&self) -> bool {
        self.is_recovery_incomplete.load(Ordering::SeqCst)
    }

    /// Reads an agent's persona, and stores it in memory as the last valid one. Returns `None` if
    /// the agent has no `agent.yaml`. Fails with `Invalid` if the files have errors or contain
    /// another id.
    pub(crate) async fn load_persona(
        &self,
        id: AgentId,
        path: AgentPath,
    ) -> Result<Option<Arc<AgentConfig>>> {
        let slot = self.registry.slot(id);
        self.read(move |folder| {
            let mut slot = slot.blocking_lock();
            let Some(read) = read_persona(folder, &path, Some(id.0))? else {
                return Ok(None);
            };
            // If the persona is unchanged, the old allocation is kept. Results that were memoized
            // for it then stay usable.
            let equal = slot
                .take()
                .map(|valid| valid.config)
                .filter(|config| **config == read.persona.config);
            let config = equal.unwrap_or_else(|| Arc::new(read.persona.config));
            *slot = Some(ValidPersona {
                config: config.clone(),
                hashes: Some(read.hashes),
            });
            Ok(Some(config))
        })
        .await
    }

    /// Reads a persona as [`FileStore::load_persona`] does, but does not store it in memory. Serves
    /// to find problems and to adopt agents. Without `expected_id`, the files may contain any id.
    pub(crate) async fn inspect_persona(
        &self,
        path: AgentPath,
        expected_id: Option<i64>,
    ) -> Result<Option<Persona>> {
        self.read(move |folder| {
            let read = read_persona(folder, &path, expected_id)?;
            Ok(read.map(|read| read.persona))
        })
        .await
    }

    /// Returns the last valid persona of each agent in `ids` whose files have not changed since
    /// that persona was read. Costs up to three `stat` calls per agent, and reads no file.
    pub(crate) async fn unchanged(
        &self,
        ids: &[AgentId],
    ) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let agents = self.registry.registered(ids);
        if agents.is_empty() {
            return Ok(Vec::new());
        }
        let unchanged = |folder: &AgentsFolder, agent: RegisteredAgent| {
            let valid = agent.slot.blocking_lock();
            let valid = valid.as_ref()?;
            folder
                .is_unchanged_since(&agent.path, valid.hashes.as_ref()?)
                .then(|| (agent.id, valid.config.clone()))
        };
        self.read(move |folder| {
            let found = agents
                .into_iter()
                .filter_map(|agent| unchanged(folder, agent));
            Ok(found.collect())
        })
        .await
    }

    /// Lists the agents' folders. See [`AgentsFolder::list`].
    pub(crate) async fn list(&self) -> Result<Listing> {
        self.read(AgentsFolder::list).await
    }

    /// Fails with `Conflict` if an agent at `path` would make a folder both an agent and a group.
    pub(crate) async fn require_one_kind(&self, path: AgentPath) -> Result<()> {
        self.read(move |folder| folder.require_one_kind(&path))
            .await
    }

    /// Returns the bytes of a picture. See [`AgentsFolder::picture`].
    pub(crate) async fn picture(&self, path: AgentPath, file: String) -> Result<Option<Vec<u8>>> {
        self.read(move |folder| Ok(folder.picture(&path, &file)))
            .await
    }

    /// Waits until other programs have changed files, and returns the ids of their agents. Starts
    /// the watcher at the first call.
    pub(crate) async fn watch(&self) -> Result<Vec<AgentId>> {
        self.watcher.start(&self.folder, &self.registry)?;
        loop {
            let announcement = self.folder.stamps.announcement();
            let changed = self.registry.ids_at(&self.folder.stamps.take_changed());
            if !changed.is_empty() {
                return Ok(changed);
            }
            announcement.await;
        }
    }

    /// Returns the agents of `ids` whose files other programs have changed. Each change is returned
    /// once. One call checks as many agents as the bound on `stat` calls allows, and the next call
    /// continues with the others.
    pub(crate) async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        let agents = self.registry.paths_of(ids);
        let probe = self.probe.clone();
        self.read(move |folder| {
            let mut probe = probe
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut changed = probe.run(&agents, |path| folder.probe(path));
            // Readers may have found more changes. Those that concern other agents are announced
            // again.
            for path in folder.stamps.take_changed() {
                match agents.iter().find(|(_, probed)| *probed == path) {
                    Some((id, _)) => changed.push(*id),
                    None => folder.stamps.announce(path),
                }
            }
            changed.sort_unstable();
            changed.dedup();
            Ok(changed)
        })
        .await
    }

    /// Waits until no change that began before the call can still change files.
    pub(crate) async fn settle(&self) -> Result<()> {
        drop(self.running_writes.write().await);
        Ok(())
    }

    /// Runs `work`, which only reads files, on a thread for blocking work.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AgentsFolder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.folder.clone();
        run_blocking(move || work(&folder)).await
    }

    /// Runs `work`, which changes files, on a thread for blocking work. If the caller is cancelled,
    /// `work` still runs to its end and holds the permit until then.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        permit: &ChangePermit,
        work: impl FnOnce(&AgentsFolder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = permit.clone();
        let running = self.running_writes.clone().read_owned().await;
        let folder = self.folder.clone();
        run_blocking(move || {
            let _held_to_the_end = (permit, running);
            work(&folder)
        })
        .await
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        // `work` has panicked, or the runtime is shutting down. Files may have changed, so the
        // outcome is unknown.
        .unwrap_or_else(|error| Err(Error::unknown(format!("file access failed: {error}"))))
}

/// Converts an agent's path to the entry that the port `AgentConfigs` lists.
pub(crate) fn to_config_file(path: &AgentPath) -> ConfigFile {
    ConfigFile {
        name: path.name.clone(),
        path: path.config_file(),
    }
}
