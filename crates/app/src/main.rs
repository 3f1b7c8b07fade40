//! The `greenroom` program.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use app::{Flags, Server, Settings};
use cache_core::Runtime;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The allocator of the program, instead of the system's.
///
/// Response bodies are allocated on one worker thread and freed on another. With the system's
/// allocator, the two threads would contend for a lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A multi-agent role-play chat server that reads from memory and never serves a stale read.
#[derive(Parser)]
#[command(name = "greenroom", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Format of log lines; `GREENROOM_LOG` selects them, such as `info` or `warn,cache=debug`
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

/// The result of a command. `main` prints the error and exits with a failure status.
type CommandResult = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_log(cli.log_format);
    match run(cli.command.unwrap_or(Command::Serve), cli.flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greenroom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, flags: Flags) -> CommandResult {
    let settings = Settings::read(flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match command {
        Command::Serve => runtime.block_on(serve(&settings)),
        Command::Check(check) => runtime.block_on(run_check(check, &settings)),
        Command::BackUp(backup) => Ok(runtime.block_on(backup.run(&settings))?),
        Command::Restore(restore) => Ok(runtime.block_on(restore.run(&settings))?),
        Command::HashPassword { stdin } => hash_password(stdin),
        Command::Import(import) => Ok(import.run(&settings)?),
        Command::Export(export) => Ok(export.run(&settings)?),
    }
}

fn init_log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("GREENROOM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
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

async fn serve(settings: &Settings) -> CommandResult {
    // The signal handler is installed first, so that a signal that arrives while the store opens is
    // not lost.
    let stop = stop_signal()?;
    let server = Server::start(settings, Runtime::tokio()).await?;
    if let Some(password) = server.app().auth.generated_password() {
        println!("generated an administrator password (it is not shown again): {password}");
    }
    println!("listening on http://{}", server.address());
    io::stdout().flush()?;
    Ok(server.run_until(stop).await?)
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

/// Returns a future that completes when the process receives SIGTERM or SIGINT.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
