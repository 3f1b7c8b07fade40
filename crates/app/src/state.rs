//! The state that HTTP handlers and background jobs share.

use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use cache_adapter::Cache;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    bounds::Bounds,
    config_problems::ConfigProblems,
    conversation::Conversations,
    groups::Group,
    http_counts::{LoginCounts, StatusCounts},
    http_latencies::Latencies,
    operate::Operate,
    render_cache::RenderCache,
    route_table::RouteTable,
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
    /// The routes of the interface.
    pub(crate) routes: RouteTable,
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

/// The state of the program as the requests of one group of connections use it.
///
/// Requests clone the handle several times. The clones of one group share a reference count, which
/// no other group writes.
///
/// ```no_run
/// # async fn example(settings: app::Settings) -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
///
/// let app = app::wire(&settings, cache_core::Runtime::tokio()).await?;
/// let hello: Router = Router::new()
///     .route("/hello", get(async |access: app::Access| access.caller().user.to_string()))
///     .with_state(app::AppHandle::new(app.into()));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AppHandle(Arc<GroupState>);

/// Aligned, so that the reference count shares no line of memory with other values.
#[derive(Debug)]
#[repr(align(128))]
struct GroupState {
    app: Arc<App>,
    group: Group,
}

impl AppHandle {
    /// Returns a handle for requests that belong to no group.
    pub fn new(app: Arc<App>) -> Self {
        Self::of(app, Group::default())
    }

    /// Returns the handle of a group.
    pub(crate) fn of(app: Arc<App>, group: Group) -> Self {
        Self(Arc::new(GroupState { app, group }))
    }

    pub(crate) fn group(&self) -> Group {
        self.0.group
    }
}

impl Deref for AppHandle {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0.app
    }
}
