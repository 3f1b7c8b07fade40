//! The `greenroom` program.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use app::{Flags, Server, Settings};
use cache_core::Runtime;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A multi-agent role-play chat server that reads from memory and never serves a stale read.
#[derive(Parser)]
#[command(name = "greenroom", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (also without a command)
    Serve,
    /// Tell what is wrong with settings, database and agents' files, and where
    Check,
    Import(app::Import),
    Export(app::Export),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("GREENROOM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be started");
    let done = Settings::read(cli.flags).and_then(|settings| match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => runtime.block_on(serve(&settings)),
        Command::Check => runtime.block_on(check(&settings)),
        Command::Import(import) => import.run(&settings),
        Command::Export(export) => export.run(&settings),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greenroom: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings) -> Result<(), String> {
    // Asked for first, so that a signal while the store opens is not lost.
    let stop = stop_signal()?;
    let server = Server::start(settings, Runtime::tokio()).await?;
    println!("listening on http://{}", server.address());
    std::io::stdout().flush().map_err(|error| error.to_string())?;
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
