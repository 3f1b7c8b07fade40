//! The state that HTTP handlers and background jobs share.

use cache_adapter::Cache;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    config_problems::ConfigProblems,
    conversation::Conversations,
    http_counts::StatusCounts,
    render_cache::RenderCache,
    settings::{FileWatch, Limits},
};

/// The shared state of the running program.
#[derive(Debug)]
pub struct App {
    /// The cached ports and the cache's manager.
    pub cache: Cache,
    /// The authentication of callers, and the limits on their request rates.
    pub auth: Auth,
    /// Limits on requests, sizes and times.
    pub limits: Limits,
    /// The number of responses in each status class.
    pub status_counts: StatusCounts,
    /// The conversations of all rooms, in which agents answer.
    pub conversations: Conversations,
    /// The settings for noticing edits of the agents' files.
    pub files: FileWatch,
    /// The number of agents' files that cannot be used.
    pub(crate) config_problems: ConfigProblems,
    /// The rendered JSON of messages, agents, pages and rooms.
    pub rendered: RenderCache,
    /// Cancelled when the server stops. This ends requests that wait, such as polls and event
    /// streams.
    pub stopping: CancellationToken,
}
