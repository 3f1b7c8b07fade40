//! `greenroom check`: what is wrong, and where, before it is served.

use domain::Repositories;

use crate::{settings::Settings, wiring::open_store};

/// What is wrong with settings, database and agents' files, a line each. Opens them as the server would.
pub async fn check(settings: &Settings) -> Vec<String> {
    let mut found: Vec<_> = settings.unsuitable().into_iter().map(|line| format!("settings: {line}")).collect();
    match open_store(&settings.database, &settings.agents).await {
        Ok(store) => found.extend(agents(&store).await),
        Err(error) => found.push(format!("database: {error}")),
    }
    found
}

async fn agents(store: &Repositories) -> Vec<String> {
    let mut found = Vec::new();
    match store.agents.list().await {
        Ok(agents) => {
            for agent in &agents {
                if let Err(error) = store.configs.reload(agent.id).await {
                    found.push(format!("agents: {}: {error}", agent.config_file));
                }
            }
            let known: Vec<_> = agents.iter().map(|agent| agent.config_file.as_str()).collect();
            let files = store.configs.list().await.unwrap_or_default();
            for file in files.iter().filter(|file| !known.contains(&file.path.as_str())) {
                let why = store.agents.adopt(&file.path).await.err().map_or_else(|| "was not known yet".into(), |error| error.to_string());
                found.push(format!("agents: {}: {why}", file.path));
            }
        }
        Err(error) => found.push(format!("agents: {error}")),
    }
    found
}
