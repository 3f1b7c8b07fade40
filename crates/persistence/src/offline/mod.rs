//! Import of agents into an agents' folder, and export from it, without a database.

mod export;
mod files;
mod import;

pub use export::{AgentContents, AgentEntry, AgentExport, GroupContents};
pub use files::write_private;
pub use import::{Addition, AgentImport};
