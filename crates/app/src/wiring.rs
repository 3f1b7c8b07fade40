//! The composition root: the only place that names concrete adapters.

use std::path::Path;

use cache_adapter::Cache;
use cache_core::Runtime;
use domain::Repositories;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    http::Answers,
    settings::{Limits, Settings},
};

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
    /// Ends what waits when the server stops.
    pub stopping: CancellationToken,
}

/// Opens the store and puts the cache before it. The error is for people.
pub async fn wire(settings: &Settings, runtime: Runtime) -> Result<App, String> {
    let store = open_store(&settings.database, &settings.agents).await.map_err(|error| error.to_string())?;
    // Last, so that a password that is made is shown, whatever else fails.
    let auth = Auth::open(settings)?;
    Ok(with_store(store, settings, auth, runtime))
}

/// The same over a store of the caller's, such as a mock.
pub fn with_store(store: Repositories, settings: &Settings, auth: Auth, runtime: Runtime) -> App {
    let cache = Cache::with_runtime(store, &settings.cache, runtime);
    App { cache, auth, limits: settings.limits.clone(), answers: Answers::default(), stopping: CancellationToken::new() }
}

/// The store alone, without a cache.
pub async fn open_store(database: &str, agents: &Path) -> domain::Result<Repositories> {
    persistence::open(database, agents).await
}
