//! The state that HTTP handlers and background jobs share.

use std::sync::{Arc, atomic::AtomicUsize};

use arc_swap::ArcSwap;
use cache_adapter::Cache;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    bounds::Bounds,
    config_problems::ConfigProblems,
    conversation::Conversations,
    http_counts::{LoginCounts, StatusCounts},
    http_latencies::Latencies,
    operate::Operate,
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
    /// Limits on requests, sizes and times. A reload of the settings replaces them.
    pub(crate) limits: ArcSwap<Limits>,
    /// The largest body of a request, in bytes.
    pub(crate) max_body_bytes: usize,
    /// Bounds on what callers may use at the same time.
    pub(crate) bounds: Bounds,
    /// The number of open connections.
    pub(crate) connections: Arc<AtomicUsize>,
    /// The number of responses with each status.
    pub status_counts: StatusCounts,
    /// The number of logins with each outcome.
    pub(crate) logins: LoginCounts,
    /// The time that requests took, by route.
    pub(crate) latencies: Latencies,
    /// The conversations of all rooms, in which agents answer.
    pub conversations: Conversations,
    /// The settings for noticing edits of the agents' files.
    pub files: FileWatch,
    /// The number of agents' files that cannot be used.
    pub(crate) config_problems: ConfigProblems,
    /// `true` if traces are exported, so that requests have spans.
    pub(crate) is_traced: bool,
    /// The live view for the administrator.
    pub(crate) operate: Operate,
    /// The rendered JSON of messages, agents, pages and rooms.
    pub rendered: RenderCache,
    /// Cancelled when the server stops. This ends requests that wait, such as polls and event
    /// streams.
    pub stopping: CancellationToken,
}

impl App {
    /// Returns the limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }
}
