//! The folders of the Python server.
//!
//! ```text
//! agents/
//!   NAME/
//!     in_a_nutshell.md
//!     characteristics.md
//!     recent_events.md           - [2026-01-31] text
//!     consolidated_memory.md     ## [title], then text
//!     avatar.png                 any picture
//!   group_GROUP/
//!     group_config.yaml
//!     NAME/…
//! ```

mod agent_reading;
mod group_config;
mod markdown;
mod names;
mod source;
mod target;

pub use source::{Source, SourceAgent, SourceGroup};
pub use target::Target;
