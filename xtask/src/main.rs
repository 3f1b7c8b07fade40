//! The project's development commands, run with `cargo xtask`.

mod instructions;
mod marks;
mod mutants;
mod package;
mod page;
mod proof;
mod schedules;
mod shared_lines;
mod steps;
mod surface;
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
    /// Run all tests and print which laws ran on which backend
    Test,
    /// Run everything that must pass before a change lands: format, lints, docs, packages, tests
    Ci,
    /// Build each crate from its packaged files, and compile its tests with its own features
    Packages,
    /// Compare the public items of the library crates with the committed lists in docs/api
    Surface {
        /// Replace the lists
        #[arg(long)]
        write: bool,
    },
    /// Explore schedules of the cache's types: none is incoherent, each planted fault is found
    Schedules {
        /// Random schedules per scenario; a quarter as many are explored by priority
        #[arg(long, default_value_t = 500)]
        count: u32,
    },
    /// Count the instructions of a hit and of a request, and the lines of memory that two requests
    /// write, and compare with the committed counts
    Instructions,
    /// Test the page in headless Chromium
    Page {
        /// Replace the pictures in docs/images by new ones
        #[arg(long)]
        screenshots: bool,
    },
    /// Send property-based requests derived from the OpenAPI document: no 5xx, none undocumented
    Wire {
        /// Duration in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Run the long forms of the coherence tests; continues where it was interrupted
    Proof {
        /// Start again from the beginning
        #[arg(long)]
        fresh: bool,
    },
    /// Change the cache's code in small ways and expect a test to fail; continues if interrupted
    Mutants {
        /// Start again from the beginning
        #[arg(long)]
        fresh: bool,
    },
    /// Measure the cache and the server against other caches, a bare handler, and no cache
    #[command(disable_help_flag = true)]
    Bench {
        /// Parts and options; see `cargo xtask bench --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the same scenarios on Greenroom and on other caches, and write docs/conformance.md
    Conformance,
}

fn main() -> ExitCode {
    let mut steps = Steps::default();
    let done = match Cli::parse().command {
        Command::Test => test(&mut steps),
        Command::Ci => ci(&mut steps),
        Command::Packages => packages(&mut steps),
        Command::Surface { write } => surface::run(&mut steps, write),
        Command::Schedules { count } => schedules::run(&mut steps, count),
        Command::Instructions => count(&mut steps),
        Command::Page { screenshots } => page::run(&mut steps, screenshots),
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

/// Counts what a hit and a request cost.
fn count(steps: &mut Steps) -> Result<(), String> {
    instructions::run(steps)?;
    shared_lines::run(steps)
}

fn test(steps: &mut Steps) -> Result<(), String> {
    steps::forget_reports()?;
    page::prepare(steps)?;
    steps.cargo("tests", &["test", "--workspace", "--all-features"])?;
    examples(steps)?;
    schedules::run(steps, 500)?;
    count(steps)?;
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
        "greenroom-cache-core",
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
    surface::run(steps, false)?;
    package::build_alone(steps)?;
    package::try_to_publish(steps)?;
    wire::run(steps, 40)?;
    // The README gives this command, so it must work as it is printed there.
    steps.cargo("cargo xtask test", &["xtask", "test"])
}

/// Runs the examples of `cache-core`, whose assertions prove what they show.
fn examples(steps: &mut Steps) -> Result<(), String> {
    for file in steps::files_of("crates/cache-core/examples")? {
        let example = file.trim_end_matches(".rs");
        let package = ["--package", "greenroom-cache-core", "--all-features"];
        let run = ["run", "--quiet", "--example", example];
        let arguments: Vec<_> = run.into_iter().chain(package).collect();
        steps.cargo(&format!("example {example}"), &arguments)?;
    }
    Ok(())
}

fn packages(steps: &mut Steps) -> Result<(), String> {
    package::build_alone(steps)?;
    package::check_tests_alone(steps)
}

/// Builds the benchmark program and the program that counts allocations, then runs the benchmark
/// program with these arguments.
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
