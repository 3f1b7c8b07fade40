//! Runs the program as a user does, as a process of its own.

mod commands;
mod log;
mod passwords;
mod restarts;
mod server;
mod transfer;
mod walkthrough;
