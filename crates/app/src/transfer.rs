//! `greenroom import` and `greenroom export`: agents from and to the Python server's layout.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    settings::Settings,
    wiring::{export_agents, import_agents},
};

/// Import the agents of a Python server; never overwrites existing agents
#[derive(Args, Clone, Debug)]
pub struct Import {
    /// Folder with the agents, or with a folder `agents` that contains them
    pub folder: PathBuf,
    /// Report what would be imported, without writing anything
    #[arg(long)]
    pub dry_run: bool,
}

/// Export the agents in the Python server's layout
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// Folder to write to; must be empty or not exist
    pub folder: PathBuf,
}

impl Import {
    /// Imports the agents and prints the report.
    pub fn run(&self, settings: &Settings) -> domain::Result<()> {
        let bar = progress_bar();
        let report = import_agents(
            &self.folder,
            &settings.agents,
            self.dry_run,
            |done, total| {
                show_progress(&bar, done, total);
            },
        )?;
        bar.finish_and_clear();
        report.lines.iter().for_each(|line| println!("{line}"));
        let verb = if self.dry_run { "would be " } else { "" };
        println!(
            "{} agents {verb}imported, {} unchanged, {} skipped",
            report.written, report.unchanged, report.skipped
        );
        Ok(())
    }
}

impl Export {
    /// Exports the agents and prints the report.
    pub fn run(&self, settings: &Settings) -> domain::Result<()> {
        let bar = progress_bar();
        let report = export_agents(&settings.agents, &self.folder, |done, total| {
            show_progress(&bar, done, total);
        })?;
        bar.finish_and_clear();
        report.lines.iter().for_each(|line| println!("{line}"));
        println!(
            "{} agents exported, {} skipped",
            report.written, report.skipped
        );
        Ok(())
    }
}

/// Returns a progress bar, which is invisible unless standard error is a terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{pos} of {len} agents {wide_bar}")
            .expect("the template is valid"),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show_progress(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}
