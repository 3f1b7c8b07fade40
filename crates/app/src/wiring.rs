//! The composition root: the only module that names concrete backends and responders.

mod models;

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

use cache_adapter::Cache;
use cache_core::Runtime;
use domain::{Repositories, Responder};
pub(crate) use persistence::{
    Addition, AgentExport, AgentImport, Backup, BackupReport, check_agents, check_database,
    write_private,
};
use responders::{Model, Scripted};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Auth, AuthError},
    bounds::Bounds,
    config_problems::ConfigProblems,
    conversation::{Conversations, Responders},
    http::paths,
    http_counts::{LoginCounts, StatusCounts},
    http_latencies::Latencies,
    operate::Operate,
    render_cache::RenderCache,
    route_table::RouteTable,
    settings::{AnswerSettings, ModelOptions, NONE, Price, SCRIPTED, Settings, SettingsError},
    state::App,
};

/// A reason why the program cannot be wired together.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] domain::Error),
    /// A responder's settings are incomplete.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A model's client refuses its settings.
    #[error("model `{name}`: {reason}")]
    Model {
        /// The model's name under `answers.models`.
        name: String,
        /// The client's error.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// Passwords or secrets are unusable.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Opens the store, wraps it in the cache, and builds the program from the settings.
pub async fn wire(settings: &Settings, runtime: Runtime) -> Result<App, WiringError> {
    let store = open_store(&settings.database, &settings.agents).await?;
    let responders = build_responders(&settings.answers)?;
    // Opened last, because this may generate a password. If a later step failed, the password would
    // never be printed.
    let auth = Auth::open(settings)?;
    Ok(with_store(store, settings, auth, responders, runtime))
}

/// Builds the program with a given store and given responders, such as mocks.
pub fn with_store(
    store: Repositories,
    settings: &Settings,
    auth: Auth,
    responders: Responders,
    runtime: Runtime,
) -> App {
    let cache = Cache::with_runtime(store, &settings.cache, runtime);
    let stopping = CancellationToken::new();
    let routes = RouteTable::new(paths());
    let conversations = Conversations::new(
        cache.repositories.clone(),
        cache.manager.clock().clone(),
        responders,
        &settings.answers,
        stopping.clone(),
    );
    App {
        operate: Operate::new(cache.manager.clone()),
        conversations,
        cache,
        auth,
        limits: Arc::new(settings.limits.clone()).into(),
        max_body_bytes: settings.max_body_bytes,
        bounds: Bounds::new(&settings.limits, settings.max_body_bytes),
        connections: Arc::default(),
        latencies: Latencies::new(routes.len()),
        routes,
        logins: LoginCounts::default(),
        status_counts: StatusCounts::default(),
        is_traced: settings.otlp.is_some(),
        files: settings.files,
        config_problems: ConfigProblems::default(),
        rendered: RenderCache::default(),
        stopping,
    }
}

/// Opens the store alone, without a cache.
pub async fn open_store(database: &str, agents: &Path) -> domain::Result<Repositories> {
    persistence::open(database, agents).await
}

/// Builds the responder of each room.
pub fn build_responders(settings: &AnswerSettings) -> Result<Responders, WiringError> {
    let by_room = settings
        .rooms
        .iter()
        .map(|(room, name)| Ok((*room, build_responder(settings, name)?)))
        .collect::<Result<_, WiringError>>()?;
    Ok(Responders {
        default: build_responder(settings, &settings.responder)?,
        by_room,
        prices: prices(settings)?,
    })
}

/// Returns the prices of the models that have one. Figures are kept by the name of a model, so it
/// has one price.
fn prices(settings: &AnswerSettings) -> Result<BTreeMap<String, Price>, SettingsError> {
    let mut prices = BTreeMap::new();
    for (name, options) in &settings.models {
        let Some(price) = &options.price else {
            continue;
        };
        let known = prices.insert(options.model.clone(), price.clone());
        if known.is_some_and(|known| known != *price) {
            return Err(SettingsError::Prices {
                name: name.clone(),
                model: options.model.clone(),
            });
        }
    }
    Ok(prices)
}

/// Builds the responder with this name. Returns `None` for the name [`NONE`], which keeps agents
/// silent.
fn build_responder(
    settings: &AnswerSettings,
    name: &str,
) -> Result<Option<Arc<dyn Responder>>, WiringError> {
    Ok(match name {
        NONE => None,
        SCRIPTED => Some(Arc::new(Scripted {
            seed: settings.seed,
            pace: settings.pace.unwrap_or(Scripted::default().pace),
        })),
        name => Some(Arc::new(build_model(name, settings.model(name)?)?)),
    })
}

/// Builds all models of the settings, also those that no room uses.
pub(crate) fn build_models(
    settings: &AnswerSettings,
) -> impl Iterator<Item = (&str, Result<Model, WiringError>)> {
    let models = settings.models.iter();
    models.map(|(name, options)| (name.as_str(), build_model(name, options)))
}

fn build_model(name: &str, options: &ModelOptions) -> Result<Model, WiringError> {
    let settings = models::model_settings(name, options)?;
    Model::new(settings).map_err(|error| WiringError::Model {
        name: name.to_owned(),
        reason: error.into(),
    })
}

/// Returns the JSON Schemas of the agents' files: for each, its path inside the agents' folder, and
/// its content.
pub(crate) fn schemas() -> &'static [(&'static str, &'static str)] {
    &persistence::SCHEMAS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::RoomId;

    use super::*;

    fn local(base_url: &str) -> AnswerSettings {
        let options = format!("{{protocol: openai, base_url: '{base_url}', model: llama}}");
        AnswerSettings {
            models: BTreeMap::from([("local".into(), serde_yaml::from_str(&options).unwrap())]),
            rooms: [(7, "local"), (8, "scripted")]
                .map(|(room, name)| (RoomId(room), name.to_owned()))
                .into(),
            ..AnswerSettings::silent()
        }
    }

    #[test]
    fn each_room_has_the_responder_that_the_settings_name() {
        let responders = build_responders(&local("http://127.0.0.1:11434/v1")).unwrap();
        assert!(responders.for_room(RoomId(1)).is_none());
        assert!(responders.for_room(RoomId(7)).is_some());
        assert!(responders.for_room(RoomId(8)).is_some());
    }

    #[test]
    fn a_model_with_a_wrong_url_is_refused_by_name() {
        let error = build_responders(&local("no url")).unwrap_err().to_string();
        assert!(error.starts_with("model `local`: "), "{error}");
    }
}
