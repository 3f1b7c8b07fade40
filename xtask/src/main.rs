//! The project's own commands.

mod package;
mod steps;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::Steps;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests, and tell how many laws ran on which backend
    Test,
    /// Format, lint with warnings denied, documentation, packages, then the tests
    Ci,
    /// Build each crate outside the project's folder, from the files that it would be published with
    Packages,
    /// Measure hits of the cache against the raw store beneath it
    Bench {
        /// Rounds per figure
        #[arg(long, default_value_t = 21)]
        rounds: u32,
    },
    /// Run the same scenarios on Greenroom's region and on other caches, and write docs/conformance.md
    Conformance,
}

fn main() -> ExitCode {
    let mut steps = Steps::default();
    let done = match Cli::parse().command {
        Command::Test => test(&mut steps),
        Command::Ci => ci(&mut steps),
        Command::Packages => package::build_alone(&mut steps),
        Command::Bench { rounds } => bench(&mut steps, rounds),
        Command::Conformance => steps.cargo("conformance", &["run", "--quiet", "--package", "conformance"]),
    };
    steps.summary();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn test(steps: &mut Steps) -> Result<(), String> {
    steps::forget_reports()?;
    steps.cargo("tests", &["test", "--workspace", "--all-features"])?;
    steps::print_reports()
}

fn ci(steps: &mut Steps) -> Result<(), String> {
    steps.cargo("format", &["fmt", "--all", "--check"])?;
    steps.cargo("lint", &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    steps.cargo_with("docs", &["doc", "--workspace", "--no-deps", "--all-features"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    package::build_alone(steps)?;
    for name in package::CRATES {
        steps.cargo(&format!("test {name} alone"), &["test", "--quiet", "--package", name])?;
    }
    // The README's test command, as a reader runs it.
    steps.cargo("cargo xtask test", &["xtask", "test"])
}

fn bench(steps: &mut Steps, rounds: u32) -> Result<(), String> {
    let rounds = rounds.to_string();
    steps.cargo("bench", &["run", "--release", "--quiet", "--package", "tests", "--example", "hits", "--", &rounds])
}
