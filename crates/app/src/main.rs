//! The `greenroom` program.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use app::{Flags, Server, Settings};
use cache_core::Runtime;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Bodies are made on one worker and dropped on another, where the system's allocator takes a lock that both wait for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A multi-agent role-play chat server that reads from memory and never serves a stale read.
#[derive(Parser)]
#[command(name = "greenroom", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
    /// How log lines are written; `GREENROOM_LOG` says which, as `info` or `warn,cache=debug`
    #[arg(
        long,
        env = "GREENROOM_LOG_FORMAT",
        global = true,
        default_value = "text"
    )]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (also without a command)
    Serve,
    /// Tell what is wrong with settings, database and agents' files, and where
    Check,
    /// Make the hash of a password for the settings; asks for it twice without showing it
    HashPassword {
        /// Read the password from the first line of standard input instead
        #[arg(long)]
        stdin: bool,
    },
    Import(app::Import),
    Export(app::Export),
}

/// How log lines are written to standard error.
#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let done = Settings::read(cli.flags).and_then(|settings| {
        match cli.command.unwrap_or(Command::Serve) {
            Command::Serve => runtime.block_on(serve(&settings)),
            Command::Check => runtime.block_on(check(&settings)),
            Command::HashPassword { stdin } => hash_password(stdin),
            Command::Import(import) => import.run(&settings),
            Command::Export(export) => export.run(&settings),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greenroom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("GREENROOM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

fn hash_password(stdin: bool) -> Result<(), String> {
    let password = if stdin {
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        let ask = |prompt| {
            rpassword::prompt_password(prompt).map_err(|error| {
                format!("{error}; with --stdin the password is read from standard input")
            })
        };
        let password = ask("password: ")?;
        if ask("the same again: ")? != password {
            return Err("they are not the same".into());
        }
        password
    };
    println!("{}", app::hash_password(&password)?);
    Ok(())
}

async fn serve(settings: &Settings) -> Result<(), String> {
    // Asked for first, so that a signal while the store opens is not lost.
    let stop = stop_signal()?;
    let server = Server::start(settings, Runtime::tokio()).await?;
    if let Some(password) = server.app().auth.made_password() {
        println!(
            "no administrator's password is configured, so one was made; it is not shown again: {password}"
        );
    }
    println!("listening on http://{}", server.address());
    std::io::stdout()
        .flush()
        .map_err(|error| error.to_string())?;
    server.run_until(stop).await
}

async fn check(settings: &Settings) -> Result<(), String> {
    let found = app::check(settings).await;
    for line in &found {
        println!("{line}");
    }
    if found.is_empty() {
        println!("nothing is wrong");
        return Ok(());
    }
    Err(format!("{} found", found.len()))
}

#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
