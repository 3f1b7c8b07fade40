//! Agents' files edited by hand while the server runs: an edit shows in the next read, however it
//! is saved.

mod broken;
mod fixture;
mod folders;
mod over_http;
mod saves;
mod starts;
