//! Work on a database or an agents' folder beside the process that uses it: checks, import and
//! export of agents, backup and restore.

mod backup;
mod export;
mod files;
mod import;
mod inspect;

pub use backup::{Backup, BackupReport};
pub use export::{AgentContents, AgentEntry, AgentExport, GroupContents};
pub use files::write_private;
pub use import::{Addition, AgentImport};
pub use inspect::{check_agents, check_database};
