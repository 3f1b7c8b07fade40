//! The agents' folder: one folder per agent, with `agent.yaml`, `memory.yaml` and pictures.
//!
//! | module | content |
//! |---|---|
//! | `disk` | a trait of file system calls, and its implementations |
//! | `layout`, `path` | names of files and folders |
//! | `folder`, `listing`, `read`, `change` | blocking access to the folder |
//! | `persona`, `prepare`, `recovery` | reading and editing personas, recovery after a crash |
//! | `stamps`, `registry` | in-memory records of the files and personas last read or written |
//! | `watch`, `probe` | detection of edits by other programs |
//! | `file_store` | async access to the folder, for the implementations of the ports |
//!
//! # Lock order
//!
//! Acquire locks from left to right. Any other order can deadlock.
//!
//! change permit → [`folder::FolderLock`] → database transaction → [`registry::PersonaSlot`] →
//! the folder's `contents` → the mutexes inside `registry` and `stamps`
//!
//! The change permit serializes the changes of this process, the folder lock the changes of all
//! processes. Both are acquired, and the new files are written, before the transaction begins. So a
//! change of an agent does not occupy SQLite's only connection for writes while it waits for a
//! lock, parses or flushes.

pub(crate) mod change;
pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod faulty_disk;
pub(crate) mod file_store;
pub(crate) mod folder;
pub(crate) mod layout;
pub(crate) mod listing;
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
