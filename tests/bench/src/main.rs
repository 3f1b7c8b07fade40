//! Runs benchmarks and prints their sections. Compares them with the committed results, or writes
//! them into the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use bench::{
    configs,
    error::BenchError,
    growth, hits, http, layers, misses,
    report::{document::replace_block, results::Results, section::Section},
    run_mode::{RunMode, start_runtime},
    storage, talks, workloads, writes,
};
use clap::{Parser, Subcommand, builder::PossibleValue};

/// The allocator of the server program, so that the figures apply to it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A benchmark that can be selected on the command line.
#[derive(Clone, Copy)]
struct Benchmark {
    name: &'static str,
    description: &'static str,
    run: fn(RunMode) -> Result<Section, BenchError>,
}

const fn benchmark(
    name: &'static str,
    description: &'static str,
    run: fn(RunMode) -> Result<Section, BenchError>,
) -> Benchmark {
    Benchmark {
        name,
        description,
        run,
    }
}

/// The benchmarks in the order in which they run. Those that count statements are last, because
/// the counter listens to the database driver until the process ends.
#[rustfmt::skip] // One row per benchmark.
const BENCHMARKS: [Benchmark; 10] = [
    benchmark("hits",      "hits of the region, the port and other caches",     hits::run),
    benchmark("misses",    "a thousand concurrent tasks that read cold keys",   misses::run),
    benchmark("writes",    "time added by the write guard, other keys", writes::run),
    benchmark("growth",    "long rooms, many rooms, bytes per entry, sweeps",   growth::run),
    benchmark("http",      "requests over loopback, compared with a bare handler", http::run),
    benchmark("layers",    "time added to a request around its handler",        layers::run),
    benchmark("talks",     "a hundred rooms whose agents answer for a minute",  talks::run),
    benchmark("storage",   "the store alone: growth, slow networks, clears, imports", storage::run),
    benchmark("configs",   "agents' files: cached reads, edits, process start", configs::run),
    benchmark("workloads", "polling and answers, cached and uncached",          workloads::run),
];

/// The folder of the plots, relative to the document.
const PLOT_FOLDER: &str = "benchmarks";

/// Measures the cache and the server.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// Benchmarks to run [default: all]
    #[arg(value_name = "BENCHMARK", value_parser = BENCHMARKS.map(possible_value))]
    names: Vec<String>,
    /// Run fewer rounds, for a first impression
    #[arg(long)]
    quick: bool,
    /// Fail if a ratio is worse than the committed one by more than both intervals and the drift
    #[arg(long, conflicts_with = "quick")]
    check: bool,
    /// Replace the committed tables, plots and raw figures in docs
    #[arg(long, conflicts_with = "check")]
    write: bool,
    #[command(subcommand)]
    child: Option<ChildTask>,
}

/// A task that a benchmark runs in a child process.
#[derive(Subcommand)]
enum ChildTask {
    #[command(hide = true)]
    Serve,
    #[command(hide = true)]
    Load { folder: PathBuf },
}

fn possible_value(benchmark: Benchmark) -> PossibleValue {
    PossibleValue::new(benchmark.name)
        .help(benchmark.description)
        .aliases((benchmark.name == "http").then_some("polls"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.child {
        Some(ChildTask::Serve) => {
            start_runtime().block_on(http::server::serve());
            Ok(())
        }
        Some(ChildTask::Load { folder }) => {
            start_runtime().block_on(configs::read_all(folder));
            Ok(())
        }
        None => run_benchmarks(&cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn mode(&self) -> RunMode {
        if self.quick {
            RunMode::Quick
        } else {
            RunMode::Full
        }
    }

    /// Returns `true` if the benchmark was named on the command line, or if no benchmark was named.
    /// A benchmark can also be named by its alias.
    fn selects(&self, benchmark: &Benchmark) -> bool {
        self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| name == benchmark.name || (name == "polls" && benchmark.name == "http"))
    }
}

fn run_benchmarks(cli: &Cli) -> Result<(), BenchError> {
    let docs = tests::workspace().join("docs");
    let committed = docs.join(PLOT_FOLDER).join("results.json");
    let mut results = Results::read(&committed)?;
    let mut regressions = Vec::new();
    let mut compared = 0;
    for benchmark in BENCHMARKS {
        if !cli.selects(&benchmark) {
            continue;
        }
        let Benchmark {
            name, description, ..
        } = benchmark;
        eprintln!("== {name}: {description}");
        let start = Instant::now();
        let section = (benchmark.run)(cli.mode())?;
        println!("\n## {name}\n\n{}\n", section.markdown(PLOT_FOLDER));
        let comparison = results.compare(name, &section);
        regressions.extend(comparison.regressions);
        compared += comparison.compared;
        if cli.write {
            results.put(name, &section, cli.mode(), start.elapsed().as_secs_f64());
            write_section(&docs, &results, name, &section)?;
            results.write(&committed)?;
        }
        eprintln!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    if cli.check {
        check(&regressions, compared, &committed)?;
    }
    Ok(())
}

/// Prints the result of the comparison with the committed ratios. Fails if a ratio is worse.
fn check(regressions: &[String], compared: usize, committed: &Path) -> Result<(), BenchError> {
    for regression in regressions {
        println!("worse: {regression}");
    }
    println!(
        "{compared} ratios compared with the committed ones, {} worse",
        regressions.len()
    );
    if compared == 0 {
        return Err(BenchError::NothingToCompare {
            path: committed.to_owned(),
        });
    }
    if regressions.is_empty() {
        Ok(())
    } else {
        Err(BenchError::Regressions {
            count: regressions.len(),
        })
    }
}

/// Writes the plots of a section, and writes its tables into its block of the document.
fn write_section(
    docs: &Path,
    results: &Results,
    name: &str,
    section: &Section,
) -> Result<(), BenchError> {
    let document = docs.join("benchmarks.md");
    let plots = docs.join(PLOT_FOLDER);
    let file_error = |path: &Path, source| BenchError::File {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(&plots).map_err(|error| file_error(&plots, error))?;
    for plot in &section.plots {
        plot.draw(&plots)?;
    }
    let text = fs::read_to_string(&document).map_err(|error| file_error(&document, error))?;
    let block = format!(
        "{}\n\n{}",
        section.markdown(PLOT_FOLDER),
        results.origin(name)
    );
    let text = replace_block(&text, name, &block)?;
    fs::write(&document, text).map_err(|error| file_error(&document, error))
}
