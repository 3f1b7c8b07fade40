//! The agents' folder: one folder per agent, with `agent.yaml`, `memory.yaml` and pictures.
//!
//! | module | content |
//! |---|---|
//! | `disk` | the file system calls, behind a trait that tests replace |
//! | `layout`, `path` | names of files and folders |
//! | `folder`, `read`, `change` | blocking access to the folder: listing, reading, changing |
//! | `persona`, `prepare`, `recovery` | an agent's files read, edited, and repaired after a crash |
//! | `stamps`, `registry` | what this process last read or wrote, in memory |
//! | `watch`, `probe` | detection of edits by other programs |
//! | `file_store` | async access for the repositories |
//!
//! # Lock order
//!
//! Take locks from left to right. Any other order can deadlock.
//!
//! change permit → database transaction → [`folder::FolderLock`] → [`registry::PersonaSlot`] →
//! the folder's `contents` → the mutexes inside `registry` and `stamps`
//!
//! The permit orders the changes of this process, the folder lock those of all processes. The
//! permit comes before the transaction: changes queue before they occupy SQLite's only writer.

pub(crate) mod change;
pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod faulty_disk;
pub(crate) mod file_store;
pub(crate) mod folder;
mod layout;
pub(crate) mod path;
mod persona;
pub(crate) mod prepare;
mod probe;
mod read;
pub(crate) mod recovery;
mod registry;
mod stamps;
#[cfg(test)]
mod tests;
mod watch;
