//! Backup and restore of a database, an agents' folder and other files.

mod copy;
mod postgres;
mod sqlite;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{Error, Result};
use tokio::task::spawn_blocking;

use self::copy::copy_tree;
use super::files::failed;
use crate::{
    agent_files::{disk::RealDisk, folder::AgentsFolder},
    platform::{private_folders, sync_folder},
    sql::database::{is_postgres_url, is_sqlite_url, sqlite_path, unknown_scheme},
    write_private,
};

/// The file that says which version made a backup. It is written last.
const MANIFEST: &str = "backup.yaml";
/// The folder of a backup that contains the agents' files.
const AGENTS: &str = "agents";
/// The file of a backup that contains an SQLite database.
const SQLITE: &str = "database.sqlite";
/// The file of a backup that contains the output of `pg_dump`.
const POSTGRES: &str = "database.pgdump";

/// What to back up or restore: a database, an agents' folder, and other files.
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
/// assert!(restored.rooms.list().await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Backup {
    /// The database's URL.
    pub database: String,
    /// The agents' folder.
    pub agents: PathBuf,
    /// Other files: for each, its name in the backup and its path. A file that does not exist is
    /// left out.
    pub files: Vec<(String, PathBuf)>,
}

/// The content of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The size of the copied database, in bytes.
    pub database_bytes: u64,
    /// The number of files in the agents' folder that were copied.
    pub agent_files: usize,
    /// The paths in the agents' folder that are neither files, folders nor links, such as pipes.
    pub left_out: Vec<PathBuf>,
}

impl Backup {
    /// Copies everything to the new folder `target`. A server may use the database meanwhile.
    ///
    /// The copy is consistent: it contains every write that was acknowledged before the call, and
    /// the files and the rows of each agent belong together. Changes of agents wait until the copy
    /// is complete, up to five seconds. Messages do not wait.
    ///
    /// A PostgreSQL database is copied by the program `pg_dump`, which must be installed.
    ///
    /// # Errors
    ///
    /// * [`Error::Conflict`]: `target` exists and is not empty, or another process is changing
    ///   agents.
    /// * [`Error::Missing`]: the database does not exist.
    /// * [`Error::Unavailable`]: something cannot be read or written.
    pub async fn write(&self, target: &Path) -> Result<BackupReport> {
        require_empty(target)?;
        // A backup that is interrupted leaves only this folder.
        let partial = beside(target, "partial");
        remove_tree(&partial)?;
        private_folders(&partial).map_err(failed(&partial))?;
        let report = self.write_to(&partial).await;
        if report.is_err() {
            let _ = remove_tree(&partial);
        }
        let report = report?;
        // An empty folder can be replaced by a rename.
        fs::rename(&partial, target).map_err(failed(target))?;
        flush_parent(target)?;
        Ok(report)
    }

    async fn write_to(&self, target: &Path) -> Result<BackupReport> {
        // Changes of agents hold this lock until their transaction has ended. So while it is held,
        // files and rows agree.
        let _lock = if self.agents.is_dir() {
            Some(self.lock_agents().await?)
        } else {
            None
        };
        let database_bytes = if is_sqlite_url(&self.database) {
            sqlite::copy(&sqlite_path(&self.database)?, &target.join(SQLITE)).await?
        } else if is_postgres_url(&self.database) {
            postgres::dump(&self.database, &target.join(POSTGRES)).await?
        } else {
            return Err(unknown_scheme());
        };
        let (from, to) = (self.agents.clone(), target.join(AGENTS));
        let copied = blocking(move || copy_tree(&from, &to)).await?;
        for (name, path) in &self.files {
            match fs::read(path) {
                Ok(bytes) => write_durably(&target.join(name), &bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(path)(error)),
            }
        }
        let manifest = format!(
            "# A backup made by `greenroom backup`. `greenroom restore` reads it.\n\
             version: {}\ncreated_at: {}\n",
            env!("CARGO_PKG_VERSION"),
            chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
        write_durably(&target.join(MANIFEST), manifest.as_bytes())?;
        sync_folder(target).map_err(failed(target))?;
        Ok(BackupReport {
            database_bytes,
            agent_files: copied.files,
            left_out: copied.left_out,
        })
    }

    async fn lock_agents(&self) -> Result<impl Sized + Send> {
        let agents = self.agents.clone();
        blocking(move || AgentsFolder::new(agents, Arc::new(RealDisk)).lock()).await
    }

    /// Restores everything from the folder `source`, which [`Backup::write`] has written. Nothing
    /// is overwritten: the database, the agents' folder and the other files must not exist.
    ///
    /// A PostgreSQL database must exist and be empty. It is restored by the program `pg_restore`.
    ///
    /// # Errors
    ///
    /// * [`Error::Conflict`]: the database, the agents' folder or another file exists.
    /// * [`Error::Missing`]: `source` is not a backup.
    /// * [`Error::Invalid`]: the backup contains a database of another kind than the URL names.
    /// * [`Error::Unavailable`]: something cannot be read or written. Then nothing was restored,
    ///   except that a PostgreSQL database may be restored already.
    pub async fn restore(&self, source: &Path) -> Result<BackupReport> {
        if !source.join(MANIFEST).is_file() {
            return Err(Error::missing("backup", source.display()));
        }
        self.require_nothing_exists()?;
        let staged = beside(&self.agents, "restoring");
        remove_tree(&staged)?;
        let mut written = Vec::new();
        let restored = self.restore_from(source, &staged, &mut written).await;
        if restored.is_err() {
            let _ = remove_tree(&staged);
            for path in written {
                let _ = fs::remove_file(path);
            }
        }
        restored
    }

    /// Restores everything, and adds the paths of the restored files to `written`. The agents'
    /// folder gets its name last.
    async fn restore_from(
        &self,
        source: &Path,
        staged: &Path,
        written: &mut Vec<PathBuf>,
    ) -> Result<BackupReport> {
        let (from, to) = (source.join(AGENTS), staged.to_path_buf());
        let copied = blocking(move || copy_tree(&from, &to)).await?;
        let (sqlite, postgres) = (source.join(SQLITE), source.join(POSTGRES));
        let expected = if is_sqlite_url(&self.database) {
            &sqlite
        } else {
            &postgres
        };
        if !expected.is_file() {
            return Err(Error::Invalid(format!(
                "the backup contains no {} database: give the URL of a database of the backup's kind",
                if expected == &sqlite {
                    "SQLite"
                } else {
                    "PostgreSQL"
                }
            )));
        }
        let database_bytes = fs::metadata(expected).map_err(failed(expected))?.len();
        if expected == &sqlite {
            let path = sqlite_path(&self.database)?;
            written.push(path.clone());
            sqlite::restore(&sqlite, &path)?;
        } else {
            postgres::restore(&self.database, &postgres).await?;
        }
        for (name, path) in &self.files {
            match fs::read(source.join(name)) {
                Ok(bytes) => {
                    written.push(path.clone());
                    write_durably(path, &bytes)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&source.join(name))(error)),
            }
        }
        if staged.is_dir() {
            fs::rename(staged, &self.agents).map_err(failed(&self.agents))?;
            flush_parent(&self.agents)?;
        }
        Ok(BackupReport {
            database_bytes,
            agent_files: copied.files,
            left_out: copied.left_out,
        })
    }

    fn require_nothing_exists(&self) -> Result<()> {
        let mut paths: Vec<_> = self.files.iter().map(|(_, path)| path.clone()).collect();
        if is_sqlite_url(&self.database) {
            paths.push(sqlite_path(&self.database)?);
        } else if !is_postgres_url(&self.database) {
            return Err(unknown_scheme());
        }
        for path in paths {
            if path.exists() {
                return Err(exists(&path));
            }
        }
        require_empty(&self.agents)
    }
}

fn exists(path: &Path) -> Error {
    Error::Conflict(format!(
        "{} exists and is not overwritten: move it away, or choose another place",
        path.display()
    ))
}

/// Fails with `Conflict` if `folder` is anything but a missing or an empty folder.
fn require_empty(folder: &Path) -> Result<()> {
    match fs::read_dir(folder).map(|mut entries| entries.next()) {
        Ok(None) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Some(_)) => Err(exists(folder)),
        Err(error) => Err(failed(folder)(error)),
    }
}

/// Returns the path `.NAME.suffix` beside a file or folder.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

fn remove_tree(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(folder)(error)),
        _ => Ok(()),
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        write_private(path, bytes)?;
        fs::File::open(path)?.sync_all()
    };
    write().map_err(failed(path))?;
    flush_parent(path)
}

/// Makes the name of a new or renamed file durable.
fn flush_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| parent != &Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    sync_folder(parent).map_err(failed(parent))
}

/// Runs blocking work on a separate thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| Error::unavailable(format!("the copy was interrupted: {error}")))?
}
