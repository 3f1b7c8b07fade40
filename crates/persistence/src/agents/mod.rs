//! Agents. The table `agents` stores their identity, files store their personas.
//!
//! | module | content |
//! |---|---|
//! | `table` | rows of the tables `agents` and `snapshots` |
//! | `snapshot` | the last valid persona as text |
//! | `identity` | the port `Agents`: create, update, delete |
//! | `files` | the port `AgentFiles`: adopt, reload, and edits by people |
//! | `personas` | the port `AgentConfigs`: read and change personas |
//! | `problems` | a report of files with errors |
//! | `change` | changes of files and table in one step |
//! | `recover` | makes files and table agree after a crash, and at the start |
//!
//! # Changes of files and table
//!
//! A change acquires the change permit, locks the folder, and prepares the files. Then it begins a
//! transaction, updates the row, commits the files by one rename, and finally commits the
//! transaction. A crash between the two commits leaves files that are newer than the row. The next
//! start updates the row from the files, because the files are what a person sees. The id in each
//! `agent.yaml` identifies its row.

mod change;
mod files;
mod identity;
mod personas;
mod problems;
mod recover;
pub(crate) mod snapshot;
pub(crate) mod table;
