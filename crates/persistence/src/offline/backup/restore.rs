//! The restore of a backup.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use domain::{Error, Result};

use super::{
    Backup, BackupReport,
    copy::{copy_file, copy_tree, sync_tree},
    paths::{
        AGENTS, MANIFEST, POSTGRES, SQLITE, blocking, exists, flush_parent, remove_contents,
        require_empty,
    },
    postgres,
};
use crate::{
    offline::files::failed,
    platform::private_folders,
    sql::database::{is_postgres_url, is_sqlite_url, sqlite_path, unknown_scheme},
};

impl Backup {
    /// Restores everything from the folder `source`, which [`Backup::write`] has written.
    ///
    /// Overwrites nothing. An SQLite database and the other files must not exist. The agents'
    /// folder must be empty or not exist. A PostgreSQL database must exist and be empty. It is
    /// restored by the program `pg_restore`, which must be installed.
    ///
    /// If the caller is cancelled, the files that were already restored remain.
    ///
    /// # Errors
    ///
    /// After an error, the restored files are removed again.
    ///
    /// * [`Error::Conflict`]: the SQLite database, an agent or another file exists.
    /// * [`Error::Missing`]: `source` is not a complete backup.
    /// * [`Error::Invalid`]: the database's URL is not valid, or the backup contains a database of
    ///   another kind.
    /// * [`Error::Unavailable`]: a file, a folder or the database cannot be read or written.
    pub async fn restore(&self, source: &Path) -> Result<BackupReport> {
        if !source.join(MANIFEST).is_file() {
            return Err(Error::missing("backup", source.display()));
        }
        let (kind, dump) = if is_sqlite_url(&self.database) {
            ("SQLite", source.join(SQLITE))
        } else if is_postgres_url(&self.database) {
            ("PostgreSQL", source.join(POSTGRES))
        } else {
            return Err(unknown_scheme());
        };
        if !dump.is_file() {
            return Err(Error::Invalid(format!(
                "the backup contains no {kind} database: \
                 set the database URL to a database of the backup's kind"
            )));
        }
        self.require_nothing_exists()?;
        let is_new = !self.agents.exists();
        let mut placed = Vec::new();
        let restored = self.restore_from(source, &dump, &mut placed).await;
        if restored.is_err() {
            remove_contents(&self.agents);
            if is_new {
                let _ = fs::remove_dir(&self.agents);
            }
            for path in placed {
                let _ = fs::remove_file(path);
            }
        }
        restored
    }

    /// Restores everything, the database last. Adds the paths of the restored files to `placed`.
    async fn restore_from(
        &self,
        source: &Path,
        dump: &Path,
        placed: &mut Vec<PathBuf>,
    ) -> Result<BackupReport> {
        let (from, to) = (source.join(AGENTS), self.agents.clone());
        let copied = blocking(move || {
            let copied = copy_tree(&from, &to)?;
            sync_tree(&to)?;
            Ok(copied)
        })
        .await?;
        for (name, path) in &self.files {
            let file = source.join(name);
            if file.is_file() {
                place(&file, path)?;
                placed.push(path.clone());
            }
        }
        if is_sqlite_url(&self.database) {
            place(dump, &sqlite_path(&self.database)?)?;
        } else {
            postgres::restore(&self.database, dump).await?;
        }
        Ok(BackupReport {
            database_bytes: fs::metadata(dump).map_err(failed(dump))?.len(),
            agent_files: copied.files,
            left_out: copied.left_out,
        })
    }

    fn require_nothing_exists(&self) -> Result<()> {
        let mut paths: Vec<_> = self.files.iter().map(|(_, path)| path.clone()).collect();
        if is_sqlite_url(&self.database) {
            let path = sqlite_path(&self.database)?;
            // The files with a suffix belong to an old database. SQLite would apply their changes
            // to the restored one.
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                paths.push(name.into());
            }
        }
        match paths.iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(exists(path)),
            None => require_empty(&self.agents),
        }
    }
}

/// Copies a file to `path`, which exists only when the copy is complete. Fails with `Conflict` if
/// another process has created a file at `path` by then.
fn place(source: &Path, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.restoring"));
    let placing = || {
        if let Some(parent) = path.parent().filter(|parent| parent != &Path::new("")) {
            private_folders(parent)?;
        }
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        copy_file(source, &staged)?;
        // Unlike a rename, this does not replace a file that another process has created.
        fs::hard_link(&staged, path)
    };
    let placed = placing();
    let _ = fs::remove_file(&staged);
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(failed(path)(error)),
        Ok(()) => flush_parent(path),
    }
}
