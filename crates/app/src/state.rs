//! The state that HTTP handlers and background jobs share.

use cache_adapter::Cache;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    conversation::Conversations,
    http_counts::StatusCounts,
    render_cache::RenderCache,
    settings::{FileWatch, Limits},
};

/// The program, wired together.
#[derive(Debug)]
pub struct App {
    /// The cached ports and the cache's manager.
    pub cache: Cache,
    /// Authenticates callers and counts their requests.
    pub auth: Auth,
    /// Limits on requests, sizes and times.
    pub limits: Limits,
    /// Counts responses by status class.
    pub status_counts: StatusCounts,
    /// Runs the conversations in which agents answer.
    pub conversations: Conversations,
    /// How the server notices edits of the agents' files.
    pub files: FileWatch,
    /// The rendered JSON of messages, agents, pages and rooms.
    pub rendered: RenderCache,
    /// Cancelled when the server stops. Ends requests that wait, such as polls and streams.
    pub stopping: CancellationToken,
}
