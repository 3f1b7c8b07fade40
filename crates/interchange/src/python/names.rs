//! The names of files and folders of the Python server.

pub(super) const NUTSHELL: &str = "in_a_nutshell.md";
pub(super) const CHARACTERISTICS: &str = "characteristics.md";
pub(super) const EVENTS: &str = "recent_events.md";
/// The names of the file with long-term memories. Both are read, and the first is written.
pub(super) const MEMORIES: [&str; 2] = ["consolidated_memory.md", "long_term_memory.md"];
pub(super) const GROUP_CONFIG: &str = "group_config.yaml";
pub(super) const GROUP_PREFIX: &str = "group_";

/// The file names that Greenroom uses itself. Files of the Python server with these names are left
/// out.
pub(super) const RESERVED: [&str; 5] = [
    "agent.yaml",
    "memory.yaml",
    "memory-archive.yaml",
    "group.yaml",
    "move",
];
