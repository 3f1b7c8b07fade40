//! The project's own commands.

mod instructions;
mod marks;
mod mutants;
mod package;
mod proof;
mod steps;
mod wire;

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
    /// Explore schedules of the cache's real types: none is incoherent, and each planted fault is found
    Schedules {
        /// How many random schedules to run per scenario; a quarter as many are run by priority
        #[arg(long, default_value_t = 500)]
        count: u32,
    },
    /// Count what a hit executes, by callgrind, and compare it with what was committed
    Instructions,
    /// Ask the program by property-based requests over its OpenAPI document: no 5xx, no undocumented answer
    Wire {
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Run the long forms of the tests that show coherence; goes on where it was stopped
    Proof {
        /// Begin again
        #[arg(long)]
        fresh: bool,
    },
    /// Change the cache's code in small ways, one at a time, and expect a test to fail; goes on where it was stopped
    Mutants {
        /// Begin again
        #[arg(long)]
        fresh: bool,
    },
    /// Measure the cache and the server, against the store beneath, other caches, a bare handler, and the same uncached
    #[command(disable_help_flag = true)]
    Bench {
        /// What to measure, and how: see `cargo xtask bench --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
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
        Command::Schedules { count } => schedules(&mut steps, count),
        Command::Instructions => instructions::run(&mut steps),
        Command::Wire { seconds } => wire::run(&mut steps, seconds),
        Command::Proof { fresh } => proof::run(&mut steps, fresh),
        Command::Mutants { fresh } => mutants::run(&mut steps, fresh),
        Command::Bench { arguments } => bench(&mut steps, &arguments),
        Command::Conformance => steps.cargo(
            "conformance",
            &["run", "--quiet", "--package", "conformance"],
        ),
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
    schedules(steps, 500)?;
    instructions::run(steps)?;
    steps::print_reports()
}

fn ci(steps: &mut Steps) -> Result<(), String> {
    steps.cargo("format", &["fmt", "--all", "--check"])?;
    steps.cargo(
        "lint",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    let explored = [
        "clippy",
        "--package",
        "cache-core",
        "--features",
        "faults",
        "--tests",
        "--target-dir",
        "target/schedules",
        "--",
        "-D",
        "warnings",
    ];
    steps.cargo_with(
        "lint of the schedules",
        &explored,
        &[("RUSTFLAGS", "--cfg shuttle")],
    )?;
    steps.cargo_with(
        "docs",
        &["doc", "--workspace", "--no-deps", "--all-features"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    package::build_alone(steps)?;
    for name in package::CRATES {
        steps.cargo(
            &format!("test {name} alone"),
            &["test", "--quiet", "--package", name],
        )?;
    }
    wire::run(steps, 60)?;
    // The README's test command, as a reader runs it.
    steps.cargo("cargo xtask test", &["xtask", "test"])
}

/// With the program that counts allocations beside the one that measures.
fn bench(steps: &mut Steps, arguments: &[String]) -> Result<(), String> {
    steps.cargo(
        "build",
        &["build", "--release", "--quiet", "--package", "bench"],
    )?;
    let run = ["run", "--release", "--quiet", "--package", "bench", "--"];
    let arguments: Vec<_> = run
        .into_iter()
        .chain(arguments.iter().map(String::as_str))
        .collect();
    steps.cargo("bench", &arguments)
}

/// Explores schedules of cache-core. It has a target folder of its own, because every crate is built
/// with the explorer's locks.
pub(crate) fn schedules(steps: &mut Steps, count: u32) -> Result<(), String> {
    let arguments = [
        "test",
        "--package",
        "cache-core",
        "--features",
        "faults",
        "--test",
        "schedules",
        "--target-dir",
        "target/schedules",
        "--",
        "--nocapture",
    ];
    let count = count.to_string();
    steps.cargo_with(
        "schedules",
        &arguments,
        &[
            ("RUSTFLAGS", "--cfg shuttle"),
            ("GREENROOM_SCHEDULES", &count),
            ("SHUTTLE_SILENCE_WARNINGS", "1"),
        ],
    )
}
