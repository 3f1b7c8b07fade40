//! Runs the program as a user does, in a separate process.

mod attacks;
mod backup;
mod check;
mod commands;
mod environment;
mod log;
mod passwords;
mod restarts;
mod sandboxes;
mod server;
mod signals;
#[cfg(feature = "otlp")]
mod traces;
mod transfer;
mod walkthrough;
