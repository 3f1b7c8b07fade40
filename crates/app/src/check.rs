//! `greenroom check`: what is wrong, and where, before it is served.

use domain::Repositories;

use crate::{settings::Settings, wiring::open_store};

/// What is wrong with settings, database and agents' files, a line each. Opens them as the server would.
pub async fn check(settings: &Settings) -> Vec<String> {
    let mut found: Vec<_> = settings
        .unsuitable()
        .into_iter()
        .map(|line| format!("settings: {line}"))
        .collect();
    match open_store(&settings.database, &settings.agents).await {
        Ok(store) => found.extend(agents(&store).await),
        Err(error) => found.push(format!("database: {error}")),
    }
    found
}

async fn agents(store: &Repositories) -> Vec<String> {
    match store.configs.problems().await {
        Ok(problems) => problems
            .into_iter()
            .map(|problem| format!("agents: {}", problem.text))
            .collect(),
        Err(error) => vec![format!("agents: {error}")],
    }
}
