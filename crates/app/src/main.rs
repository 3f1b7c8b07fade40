//! The `greenroom` program.

mod command_line;
mod signals;

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use app::{Flags, Reloader, Server, Settings, Traces};
use cache_core::Runtime;
use clap::{Parser, Subcommand};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

/// The allocator of the program, instead of the system's.
///
/// Response bodies are allocated on one worker thread and freed on another. With the system's
/// allocator, the two threads would contend for a lock.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A multi-agent role-play chat server that reads from memory and never serves a stale read.
#[derive(Parser)]
#[command(name = "greenroom", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Format of log lines; `--log` selects them
    #[arg(
        long,
        env = "GREENROOM_LOG_FORMAT",
        global = true,
        default_value = "text"
    )]
    log_format: LogFormat,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; the default command
    Serve,
    Check(app::Check),
    /// Print the hash of a password for the settings; prompts for the password twice
    HashPassword {
        /// Read the password from the first line of standard input instead of prompting
        #[arg(long)]
        stdin: bool,
    },
    #[command(name = "backup")]
    BackUp(app::BackUp),
    Restore(app::Restore),
    Import(app::Import),
    Export(app::Export),
}

/// The format of log lines on standard error.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// The longest wait for work that cannot be cancelled, such as a read of a file, when the server
/// has stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a command. `main` prints the error and exits with a failure status.
type CommandResult = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let parsed = command_line::parse::<Cli>().unwrap_or_else(|error| error.exit());
    match run(parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greenroom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> CommandResult {
    let settings = Settings::read(cli.flags)?;
    let command = cli.command.unwrap_or(Command::Serve);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let traces = match (&command, &settings.otlp) {
        (Command::Serve, Some(address)) => Some(Traces::start(address, runtime.handle().clone())?),
        _ => None,
    };
    let log = Log::init(
        cli.log_format,
        settings.log.to_env_filter(),
        traces.as_ref(),
    );
    if settings.otlp.is_none() && env::var_os(app::COLLECTOR_VARIABLE).is_some() {
        tracing::warn!(
            variable = app::COLLECTOR_VARIABLE,
            "traces not exported: this program cannot use the variable"
        );
    }
    match command {
        Command::Serve => {
            let served = runtime.block_on(serve(&settings, log));
            if let Some(traces) = traces {
                traces.stop();
            }
            // A file on a disk that does not answer must not keep the program from ending.
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
            served
        }
        Command::Check(check) => runtime.block_on(run_check(check, &settings)),
        Command::BackUp(backup) => Ok(runtime.block_on(backup.run(&settings))?),
        Command::Restore(restore) => Ok(runtime.block_on(restore.run(&settings))?),
        Command::HashPassword { stdin } => hash_password(stdin),
        Command::Import(import) => Ok(import.run(&settings)?),
        Command::Export(export) => Ok(export.run(&settings)?),
    }
}

/// The log on standard error. Its filter can be replaced.
struct Log(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send>);

impl Log {
    fn init(format: LogFormat, filter: EnvFilter, traces: Option<&Traces>) -> Self {
        let (subscriber, log) = Self::subscriber(format, filter, traces);
        subscriber.init();
        log
    }

    /// Returns the subscriber that writes the log, keeps its newest lines, measures spans, and
    /// exports them.
    fn subscriber(
        format: LogFormat,
        filter: EnvFilter,
        traces: Option<&Traces>,
    ) -> (impl Subscriber + Send + Sync, Self) {
        let lines = fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        // The filter belongs to the lines on standard error alone: the live view has its own.
        let (filter, handle) = reload::Layer::new(filter);
        // Spans are for the metrics and the traces.
        let no_spans =
            filter_fn(|metadata| !metadata.is_span()).with_max_level_hint(LevelFilter::TRACE);
        let subscriber = tracing_subscriber::registry()
            .with(lines.with_filter(filter.and(no_spans)))
            .with(app::log_ring_layer())
            .with(app::span_times_layer())
            .with(traces.map(Traces::layer));
        let log = Self(Box::new(move |filter| handle.reload(filter)));
        (subscriber, log)
    }
}

fn hash_password(stdin: bool) -> CommandResult {
    let password = if stdin {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        prompt_twice()?
    };
    println!("{}", app::hash_password(&password)?);
    Ok(())
}

fn prompt_twice() -> Result<String, Box<dyn Error>> {
    let prompt = |label| {
        rpassword::prompt_password(label).map_err(|error| {
            format!("cannot prompt for a password: {error}; use --stdin to read it from a pipe")
        })
    };
    let password = prompt("password: ")?;
    if prompt("repeat the password: ")? != password {
        return Err("the two passwords differ".into());
    }
    Ok(password)
}

async fn serve(settings: &Settings, log: Log) -> CommandResult {
    // The signal handlers are installed first, so that a signal that arrives while the store opens
    // is not lost.
    let mut stop = Box::pin(signals::stop()?);
    let hang_up = signals::hang_up()?;
    let server = tokio::select! {
        started = Server::start(settings, Runtime::tokio()) => started?,
        // A start may wait long for a database. What it has written is complete or not there.
        () = &mut stop => return Ok(()),
    };
    // Written at once: a program that reads the address may close its end afterwards.
    let mut stdout = io::stdout();
    stdout.write_all(greeting(&server, settings).as_bytes())?;
    stdout.flush()?;
    let reloads = tokio::spawn(reload_on(hang_up, server.reloader(), log));
    let result = server.run_until(stop).await;
    reloads.abort();
    Ok(result?)
}

/// Returns the lines that a server prints when it has started.
fn greeting(server: &Server, settings: &Settings) -> String {
    let mut lines = Vec::new();
    if let Some(password) = server.app().auth.generated_password() {
        lines.push(format!(
            "generated an administrator password (it is not shown again): {password}"
        ));
    }
    lines.push(format!("listening on http://{}", server.address()));
    if let Some(address) = server.metrics_address() {
        lines.push(format!("metrics on http://{address}/metrics"));
    }
    if settings.page || settings.frontend.is_some() {
        let address = page_address(server.address());
        lines.push(format!("open {address} in a browser"));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Returns the address that a browser on this machine opens. A server that listens on all addresses
/// is reached on the loopback address.
fn page_address(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}/")
}

/// Reads the settings again at each signal to hang up, and applies them.
async fn reload_on(mut hang_up: signals::HangUp, reloader: Reloader, log: Log) {
    loop {
        hang_up.recv().await;
        if let Err(error) = reload(&reloader, &log) {
            tracing::error!(%error, "settings not reloaded: the previous ones stay in force");
        }
    }
}

fn reload(reloader: &Reloader, log: &Log) -> CommandResult {
    let settings = Settings::read(command_line::parse::<Cli>()?.flags)?;
    let waiting = reloader.reload(&settings)?;
    (log.0)(settings.log.to_env_filter())?;
    if waiting.is_empty() {
        tracing::info!("settings reloaded");
    } else {
        let waiting = waiting.join(", ");
        tracing::warn!(
            waiting,
            "settings reloaded, except some that need a restart"
        );
    }
    Ok(())
}

async fn run_check(check: app::Check, settings: &Settings) -> CommandResult {
    let problems = check.run(settings).await;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("no problems found");
            Ok(())
        }
        1 => Err("1 problem found".into()),
        count => Err(format!("{count} problems found").into()),
    }
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_in_the_program_asks_for_more_lines_than_the_log_so_that_hits_write_none() {
        for address in [None, Some("http://127.0.0.1:1")] {
            let runtime = tokio::runtime::Handle::current();
            let traces = address.map(|address| Traces::start(address, runtime).unwrap());
            let filter = EnvFilter::new("info");
            let (subscriber, _log) = Log::subscriber(LogFormat::Text, filter, traces.as_ref());
            tracing::subscriber::with_default(subscriber, || {
                assert_eq!(LevelFilter::current(), LevelFilter::INFO, "{address:?}");
            });
        }
    }
}
