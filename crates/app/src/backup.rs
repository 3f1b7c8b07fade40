//! `greenroom backup` and `greenroom restore`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    settings::Settings,
    wiring::{Backup, BackupReport},
};

/// The name of the credentials file in a backup.
const CREDENTIALS: &str = "credentials.yaml";

/// Copy the database, agents' files and credentials to a folder; the server may run meanwhile
#[derive(Args, Clone, Debug)]
pub struct BackUp {
    /// Folder for the backup; it must be empty or not exist
    pub folder: PathBuf,
}

/// Restore a backup; nothing is overwritten
#[derive(Args, Clone, Debug)]
pub struct Restore {
    /// Folder that `greenroom backup` wrote
    pub folder: PathBuf,
}

impl BackUp {
    /// Writes the backup, and prints a summary.
    pub async fn run(&self, settings: &Settings) -> domain::Result<()> {
        let report = backup_of(settings).write(&self.folder).await?;
        print("backed up", &report);
        Ok(())
    }
}

impl Restore {
    /// Restores the backup, and prints a summary.
    pub async fn run(&self, settings: &Settings) -> domain::Result<()> {
        let report = backup_of(settings).restore(&self.folder).await?;
        print("restored", &report);
        Ok(())
    }
}

fn backup_of(settings: &Settings) -> Backup {
    Backup {
        database: settings.database.clone(),
        agents: settings.agents.clone(),
        files: vec![(CREDENTIALS.to_owned(), settings.auth.credentials.clone())],
    }
}

fn print(verb: &str, report: &BackupReport) {
    for (path, why) in &report.left_out {
        println!("not fully copied: {}: {why}", path.display());
    }
    println!(
        "{verb} a database of {} bytes and {} files of agents",
        report.database_bytes, report.agent_files
    );
}
