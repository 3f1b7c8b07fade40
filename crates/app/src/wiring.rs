//! The composition root: the only place that names concrete adapters.

use std::{path::Path, sync::Arc};

use cache_adapter::Cache;
use cache_core::Runtime;
use domain::Repositories;
pub(crate) use persistence::{Addition, AgentExport, AgentImport};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    conversation::{Conversations, Responders},
    http::Answers,
    jobs::FileWatch,
    settings::{Limits, Settings},
};

/// Most KiB of members in the texts of rooms that are kept. Messages count in `room_messages`.
pub const ROOM_TEXTS_KIB: usize = 64 << 10;

/// The program, wired together.
#[derive(Debug)]
pub struct App {
    /// The ports, cached, and what manages the cache.
    pub cache: Cache,
    /// Decides who calls.
    pub auth: Auth,
    /// How much, how long and how often.
    pub limits: Limits,
    /// Counts what was answered.
    pub answers: Answers,
    /// Has agents answer.
    pub conversations: Conversations,
    /// How changes of agents' files by others are found.
    pub files: FileWatch,
    /// The KiB that are left for what is kept of the texts of rooms besides their messages, of [`ROOM_TEXTS_KIB`] in all. It
    /// falls with a text that is kept and rises when that is dropped.
    pub room_texts: Arc<Semaphore>,
    /// Ends what waits when the server stops.
    pub stopping: CancellationToken,
}

/// Opens the store and puts the cache before it. The error is for people.
pub async fn wire(settings: &Settings, runtime: Runtime) -> Result<App, String> {
    let store = open_store(&settings.database, &settings.agents)
        .await
        .map_err(|error| error.to_string())?;
    let responders = settings.answers.responders()?;
    // Last, so that a password that is made is shown, whatever else fails.
    let auth = Auth::open(settings)?;
    Ok(with_store(store, settings, auth, responders, runtime))
}

/// The same over a store and responders of the caller's, such as mocks.
pub fn with_store(
    store: Repositories,
    settings: &Settings,
    auth: Auth,
    responders: Responders,
    runtime: Runtime,
) -> App {
    let cache = Cache::with_runtime(store, &settings.cache, runtime);
    let stopping = CancellationToken::new();
    let (ports, clock) = (cache.repositories.clone(), cache.manager.clock().clone());
    App {
        conversations: Conversations::new(
            ports,
            clock,
            responders,
            &settings.answers.limits,
            stopping.clone(),
        ),
        cache,
        auth,
        limits: settings.limits.clone(),
        answers: Answers::default(),
        files: settings.files,
        room_texts: Arc::new(Semaphore::new(ROOM_TEXTS_KIB)),
        stopping,
    }
}

/// The JSON Schemas of the agents' files: names inside their folder, and texts.
pub(crate) fn schemas() -> &'static [(&'static str, &'static str)] {
    &persistence::SCHEMAS
}

/// The store alone, without a cache.
pub async fn open_store(database: &str, agents: &Path) -> domain::Result<Repositories> {
    persistence::open(database, agents).await
}
