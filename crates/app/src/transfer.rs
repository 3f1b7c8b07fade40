//! `greenroom import` and `greenroom export`: the Python server's folder layout, there and back.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    settings::Settings,
    wiring::{export_agents, import_agents},
};

/// Convert the agents of a Python server's folder into the agents' folder; what is there already is never overwritten
#[derive(Args, Clone, Debug)]
pub struct Import {
    /// The folder with the agents, or with a folder `agents` in it
    pub folder: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Write the agents in a Python server's layout into an empty or new folder
#[derive(Args, Clone, Debug)]
pub struct Export {
    /// Where to
    pub folder: PathBuf,
}

impl Import {
    /// Prints the report. The error is for people.
    pub fn run(&self, settings: &Settings) -> Result<(), String> {
        let bar = bar();
        let report = import_agents(&self.folder, &settings.agents, self.dry_run, |done, of| {
            step(&bar, done, of);
        });
        let report = report.map_err(|error| error.to_string())?;
        bar.finish_and_clear();
        report.lines.iter().for_each(|line| println!("{line}"));
        let would = if self.dry_run { "would be " } else { "" };
        println!(
            "{} agents {would}imported, {} there already, {} left out",
            report.written, report.unchanged, report.skipped
        );
        Ok(())
    }
}

impl Export {
    /// Prints the report. The error is for people.
    pub fn run(&self, settings: &Settings) -> Result<(), String> {
        let bar = bar();
        let report = export_agents(&settings.agents, &self.folder, |done, of| {
            step(&bar, done, of);
        });
        let report = report.map_err(|error| error.to_string())?;
        bar.finish_and_clear();
        report.lines.iter().for_each(|line| println!("{line}"));
        println!(
            "{} agents exported, {} left out",
            report.written, report.skipped
        );
        Ok(())
    }
}

/// On a terminal alone.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{pos} of {len} agents {wide_bar}")
            .expect("the template is sound"),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn step(bar: &ProgressBar, done: usize, of: usize) {
    bar.set_length(of as u64);
    bar.set_position(done as u64);
}
