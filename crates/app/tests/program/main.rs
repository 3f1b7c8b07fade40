//! Runs the program as a user does, in a separate process.

mod commands;
mod log;
mod passwords;
mod restarts;
mod server;
mod transfer;
mod walkthrough;
