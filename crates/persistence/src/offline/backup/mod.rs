//! Backup and restore of a database, an agents' folder and other files.

mod copy;
mod paths;
mod postgres;
mod restore;
mod snapshot;
mod sqlite;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{Error, Result};

use self::{
    copy::{copy_file, copy_tree, sync_tree},
    paths::{
        AGENTS, MANIFEST, blocking, flush_parent, remove_contents, require_empty, write_durably,
    },
    snapshot::Snapshot,
};
use super::files::failed;
use crate::{
    agent_files::{
        disk::RealDisk,
        folder::{AgentsFolder, FolderLock},
    },
    platform::private_folders,
};

/// The things to back up or restore: a database, an agents' folder, and other files.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let at = |name: &str| folder.path().join(name);
/// # let url = |name: &str| format!("sqlite:{}", at(name).display());
/// use persistence::Backup;
///
/// let store = persistence::open(&url("a.db"), at("agents")).await?;
/// let backup = Backup { database: url("a.db"), agents: at("agents"), files: Vec::new() };
/// backup.write(&at("backup")).await?;
///
/// let copy = Backup { database: url("b.db"), agents: at("restored"), files: Vec::new() };
/// copy.restore(&at("backup")).await?;
/// let restored = persistence::open(&url("b.db"), at("restored")).await?;
/// assert!(restored.rooms.list(None, 10).await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Backup {
    /// The database's URL.
    pub database: String,
    /// The agents' folder.
    pub agents: PathBuf,
    /// Other files, each with its name in the backup and its path. Missing files are skipped.
    pub files: Vec<(String, PathBuf)>,
}

/// A summary of the data that a backup or a restore copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The size of the copied database, in bytes.
    pub database_bytes: u64,
    /// The number of files in the agents' folder that were copied.
    pub agent_files: usize,
    /// The paths in the agents' folder that were not copied, or only as a link, each with the
    /// reason.
    pub left_out: Vec<(PathBuf, String)>,
}

impl Backup {
    /// Copies everything to the folder `target`, which must be empty or not exist. A server may use
    /// the database meanwhile.
    ///
    /// The copy contains every write that was acknowledged before the call. The files and the rows
    /// of each agent agree. Changes of agents wait while the agents' files are copied, and fail
    /// with `Conflict` after five seconds. No write waits while the database is copied.
    ///
    /// A PostgreSQL database is copied by the program `pg_dump`, which must be installed.
    ///
    /// If the caller is cancelled, `target` contains an incomplete backup. [`Backup::restore`]
    /// refuses it.
    ///
    /// # Errors
    ///
    /// After an error, `target` is empty again, or removed if it did not exist.
    ///
    /// * [`Error::Conflict`]: `target` is not empty or is inside the agents' folder, or another
    ///   process has locked the agents' folder for five seconds.
    /// * [`Error::Invalid`]: the database's URL is not valid.
    /// * [`Error::Missing`]: the SQLite database does not exist.
    /// * [`Error::Unavailable`]: a file, a folder or the database cannot be read or written.
    pub async fn write(&self, target: &Path) -> Result<BackupReport> {
        require_empty(target)?;
        let is_new = !target.exists();
        private_folders(target).map_err(failed(target))?;
        let report = self.write_to(target).await;
        if report.is_err() {
            remove_contents(target);
            if is_new {
                let _ = fs::remove_dir(target);
            }
        }
        report
    }

    async fn write_to(&self, target: &Path) -> Result<BackupReport> {
        self.require_outside_agents(target)?;
        let (snapshot, copied) = {
            // A change of an agent holds this lock until its transaction has ended. So files and
            // rows agree as long as this task holds the lock.
            let _lock = self.lock_agents().await?;
            let snapshot = Snapshot::begin(&self.database, target).await?;
            let (from, to) = (self.agents.clone(), target.join(AGENTS));
            let copied = blocking(move || copy_tree(&from, &to)).await?;
            (snapshot, copied)
        };
        let database_bytes = snapshot.write().await?;
        let agents = target.join(AGENTS);
        blocking(move || sync_tree(&agents)).await?;
        for (name, path) in &self.files {
            match copy_file(path, &target.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(path)(error));
                }
                _ => {}
            }
        }
        let manifest = format!(
            "# A backup made by `greenroom backup`. `greenroom restore` reads it.\n\
             version: {}\ncreated_at: {}\n",
            env!("CARGO_PKG_VERSION"),
            chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
        write_durably(&target.join(MANIFEST), manifest.as_bytes())?;
        flush_parent(target)?;
        Ok(BackupReport {
            database_bytes,
            agent_files: copied.files,
            left_out: copied.left_out,
        })
    }

    /// Locks the agents' folder. Returns `None` if there is no folder.
    async fn lock_agents(&self) -> Result<Option<FolderLock>> {
        if !self.agents.is_dir() {
            return Ok(None);
        }
        let agents = self.agents.clone();
        blocking(move || {
            AgentsFolder::new(agents, Arc::new(RealDisk))
                .lock()
                .map(Some)
        })
        .await
    }

    /// Fails with `Conflict` if `target` is inside the agents' folder, because the copy would
    /// contain itself.
    fn require_outside_agents(&self, target: &Path) -> Result<()> {
        let (Ok(agents), Ok(target)) = (self.agents.canonicalize(), target.canonicalize()) else {
            return Ok(());
        };
        if target.starts_with(agents) {
            return Err(Error::Conflict(format!(
                "{} is inside the agents' folder: choose another folder for the backup",
                target.display()
            )));
        }
        Ok(())
    }
}
