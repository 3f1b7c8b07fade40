//! Runs the parts, shows what they found, compares it with what was committed, or writes it into the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use bench::{
    Run, configs, growth, hits, http, layers, misses,
    report::{Part, Results, replaced},
    talks, workloads, writes,
};
use clap::{Parser, Subcommand, builder::PossibleValue};

/// As the program is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A part of the run: its name, what it measures, and how.
type Row = (&'static str, &'static str, fn(Run) -> Result<Part, String>);

/// What counts statements comes last, because it listens to the driver from then on.
#[rustfmt::skip] // One row a line.
const PARTS: [Row; 9] = [
    ("hits",      "a hit of the region and of the port, beside other caches",   hits::run),
    ("misses",    "a thousand tasks that ask for what is not there",            misses::run),
    ("writes",    "what the guard adds to a write, and writes to neighbours",   writes::run),
    ("growth",    "long rooms, many rooms, bytes per entry, cleanup",           growth::run),
    ("http",      "requests over loopback beside a bare handler",               http::run),
    ("layers",    "what authentication, limits, tracing and metrics add",       layers::run),
    ("talks",     "a hundred rooms of agents that answer for a minute",         talks::run),
    ("configs",   "agents' files: hits, reads, a fresh start",                  configs::run),
    ("workloads", "polling and answers, cached against uncached",               workloads::run),
];

/// Measures the cache and the server.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// What to measure: hits, misses, writes, growth, http (or polls), layers, talks, configs, workloads [default: all]
    #[arg(value_parser = PARTS.map(|(name, ..)| PossibleValue::new(name).aliases((name == "http").then_some("polls"))))]
    parts: Vec<String>,
    /// Fewer rounds, for a look
    #[arg(long)]
    quick: bool,
    /// Fail if a ratio is worse than the committed one by more than both intervals and what runs differ by
    #[arg(long, conflicts_with = "quick")]
    check: bool,
    /// Write tables, plots and raw figures into docs, in the place of the committed ones
    #[arg(long, conflicts_with = "check")]
    write: bool,
    #[command(subcommand)]
    of_a_process: Option<OfAProcess>,
}

/// What a part has a process of its own do.
#[derive(Subcommand)]
enum OfAProcess {
    #[command(hide = true)]
    Serve,
    #[command(hide = true)]
    Load { folder: PathBuf },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let run = Run::new(cli.quick);
    let done = match &cli.of_a_process {
        Some(OfAProcess::Serve) => {
            run.runtime().block_on(http::serve());
            Ok(())
        }
        Some(OfAProcess::Load { folder }) => {
            run.runtime().block_on(configs::read_all(folder));
            Ok(())
        }
        None => measure(&cli, run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli, run: Run) -> Result<(), String> {
    let docs = tests::workspace().join("docs");
    let committed = docs.join("benchmarks/results.json");
    let mut results = Results::read(&committed)?;
    let (mut worse, mut compared) = (Vec::new(), 0);
    for (name, what, measure) in PARTS {
        if !cli.parts.is_empty()
            && !cli
                .parts
                .iter()
                .any(|part| part == name || (part == "polls" && name == "http"))
        {
            continue;
        }
        eprintln!("== {name}: {what}");
        let began = Instant::now();
        let part = measure(run)?;
        println!("\n## {name}\n\n{}\n", part.markdown("benchmarks"));
        let (regressions, of) = results.regressions(name, &part);
        worse.extend(regressions);
        compared += of;
        if cli.write {
            results.put(name, &part, run.is_quick(), began.elapsed().as_secs_f64());
            write(&docs, &results, name, &part)?;
            results.write(&committed)?;
        }
        eprintln!("== {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    if cli.check {
        for line in &worse {
            println!("worse: {line}");
        }
        println!(
            "{compared} ratios compared with those committed, {} worse",
            worse.len()
        );
        if compared == 0 {
            return Err(format!(
                "nothing to compare with in {}",
                committed.display()
            ));
        }
        if !worse.is_empty() {
            return Err("worse than what was committed".into());
        }
    }
    Ok(())
}

/// Puts a part's tables and plots into the documentation.
fn write(docs: &Path, results: &Results, name: &str, part: &Part) -> Result<(), String> {
    let (document, plots) = (docs.join("benchmarks.md"), docs.join("benchmarks"));
    fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    for plot in &part.plots {
        plot.draw(&plots)?;
    }
    let failed = |error: std::io::Error| format!("{}: {error}", document.display());
    let text = fs::read_to_string(&document).map_err(failed)?;
    let found = format!(
        "{}\n\n{}",
        part.markdown("benchmarks"),
        results.origin(name)
    );
    fs::write(&document, replaced(&text, name, &found)?).map_err(failed)
}
