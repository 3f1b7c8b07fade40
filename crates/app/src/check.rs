//! `greenroom check`: finds problems in settings, database and agents' files.

use domain::Repositories;

use crate::{
    settings::Settings,
    wiring::{build_responders, open_store},
};

/// Returns one line for each problem in the settings, the database and the agents' files.
///
/// Opens the database and the agents' folder as the server does. So it creates the database, or
/// migrates its schema, if needed.
pub async fn check(settings: &Settings) -> Vec<String> {
    let mut problems: Vec<_> = settings
        .unsuitable_ttls()
        .into_iter()
        .map(|warning| format!("settings: {warning}"))
        .collect();
    if let Err(error) = build_responders(&settings.answers) {
        problems.push(format!("settings: {error}"));
    }
    match open_store(&settings.database, &settings.agents).await {
        Ok(store) => problems.extend(check_agents(&store).await),
        Err(error) => problems.push(format!("database: {error}")),
    }
    problems
}

async fn check_agents(store: &Repositories) -> Vec<String> {
    match store.configs.problems().await {
        Ok(problems) => problems
            .into_iter()
            .map(|problem| format!("agents: {}", problem.text))
            .collect(),
        Err(error) => vec![format!("agents: {error}")],
    }
}
