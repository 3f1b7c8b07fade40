//! `greenroom import` and `greenroom export`, which read and write the Python server's agent
//! folders.

mod convert;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interchange::Report;

use crate::{settings::Settings, wiring::AgentImport};

/// Import the agents of a Python server's folder; existing agents and files are never overwritten
#[derive(Args, Clone, Debug)]
pub struct Import {
    /// Folder with the agents, or with a folder `agents` in it
    pub folder: PathBuf,
    /// Print what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Export the agents into an empty or new folder, in the Python server's layout
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// Folder to write, which must be empty or not exist
    pub folder: PathBuf,
}

impl Import {
    /// Imports the agents, and prints the report.
    pub fn run(&self, settings: &Settings) -> domain::Result<()> {
        let bar = progress_bar();
        let start = if self.dry_run {
            AgentImport::dry_run
        } else {
            AgentImport::start
        };
        let open = || start(&settings.agents);
        let mut report = Report::default();
        let imported = convert::import(&self.folder, open, &mut report, |done, total| {
            step(&bar, done, total);
        });
        bar.finish_and_clear();
        // The report is printed even if the import failed.
        report.lines.iter().for_each(|line| println!("{line}"));
        imported?;
        let verb = if self.dry_run { "would be " } else { "" };
        println!(
            "{} agents {verb}imported, {} unchanged, {} left out",
            report.written, report.unchanged, report.skipped
        );
        Ok(())
    }
}

impl Export {
    /// Exports the agents, and prints the report.
    pub fn run(&self, settings: &Settings) -> domain::Result<()> {
        let bar = progress_bar();
        let mut report = Report::default();
        let exported = convert::export(
            &settings.agents,
            &self.folder,
            &mut report,
            |done, total| {
                step(&bar, done, total);
            },
        );
        bar.finish_and_clear();
        // The report is printed even if the export failed.
        report.lines.iter().for_each(|line| println!("{line}"));
        exported?;
        println!(
            "{} agents exported, {} skipped",
            report.written, report.skipped
        );
        Ok(())
    }
}

/// Returns a progress bar. It is shown only on a terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{pos} of {len} agents {wide_bar}")
            .expect("the template is valid"),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn step(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}
