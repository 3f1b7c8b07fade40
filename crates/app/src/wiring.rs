//! The composition root: the only place that names concrete adapters.

use std::path::Path;

use cache_adapter::Cache;
use cache_core::Runtime;
use domain::{Repositories, UserId};
use tokio_util::sync::CancellationToken;

use crate::{jobs::FileWatch, settings::Settings};

/// The program, wired together.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports, cached, and what manages the cache.
    pub cache: Cache,
    /// Who calls, until callers say who they are.
    pub caller: UserId,
    /// How changes of agents' files by others are found.
    pub files: FileWatch,
    /// Ends what waits when the server stops.
    pub stopping: CancellationToken,
}

/// Opens the store and puts the cache before it.
pub async fn wire(settings: &Settings, runtime: Runtime) -> domain::Result<App> {
    let store = open_store(&settings.database, &settings.agents).await?;
    Ok(with_store(store, settings, runtime))
}

/// The same over a store of the caller's, such as a mock.
pub fn with_store(store: Repositories, settings: &Settings, runtime: Runtime) -> App {
    let cache = Cache::with_runtime(store, &settings.cache, runtime);
    // There is no authentication yet, so this serves loopback only and everybody there is the administrator.
    let caller = UserId::admin();
    tracing::warn!(%caller, "every caller counts as the administrator: there is no authentication yet");
    App { cache, caller, files: settings.files, stopping: CancellationToken::new() }
}

/// The JSON Schemas of the agents' files: names inside their folder, and texts.
pub(crate) fn schemas() -> &'static [(&'static str, &'static str)] {
    &persistence::SCHEMAS
}

/// See `persistence::import`.
pub(crate) fn import_agents(
    from: &Path,
    to: &Path,
    dry_run: bool,
    progress: impl FnMut(usize, usize),
) -> domain::Result<persistence::Report> {
    persistence::import(from, to, dry_run, progress)
}

/// See `persistence::export`.
pub(crate) fn export_agents(from: &Path, to: &Path, progress: impl FnMut(usize, usize)) -> domain::Result<persistence::Report> {
    persistence::export(from, to, progress)
}

/// The store alone, without a cache.
pub async fn open_store(database: &str, agents: &Path) -> domain::Result<Repositories> {
    persistence::open(database, agents).await
}
