//! Edits of agents' files by hand while the server runs. The next read returns the edited file, in
//! whatever way an editor saves it.

mod broken;
mod fixture;
mod folders;
mod over_http;
mod saves;
mod starts;
