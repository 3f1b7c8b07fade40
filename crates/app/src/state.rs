//! The state that HTTP handlers and background jobs share.

use std::sync::Arc;

use cache_adapter::Cache;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    conversation::Conversations,
    http_counts::StatusCounts,
    settings::{FileWatch, Limits},
};

/// The memory budget of cached room bodies, in KiB, without their messages.
///
/// Messages count in the region `room_messages`. A body that does not fit is rendered on each read,
/// so the budget bounds memory and changes no response.
pub const ROOM_TEXTS_KIB: usize = 64 << 10;

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
    /// The rest of the budget [`ROOM_TEXTS_KIB`], one permit per KiB.
    ///
    /// Each cached room body holds permits for its size and releases them when it is dropped.
    pub room_texts: Arc<Semaphore>,
    /// Cancelled when the server stops. Ends requests that wait, such as polls and streams.
    pub stopping: CancellationToken,
}
