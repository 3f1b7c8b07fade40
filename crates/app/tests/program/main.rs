//! Runs the program as a user does, in a separate process.

mod backup;
mod check;
mod commands;
mod log;
mod passwords;
mod restarts;
mod server;
mod transfer;
mod walkthrough;
