//! Snapshots: the last valid persona of each agent, stored in the table `snapshots`.
//!
//! Readers get the snapshot while the files are not valid or missing, even after a restart.

use std::fmt::Display;

use domain::{AgentConfig, AgentId, Result};

use crate::{
    sql::{
        rows::Columns,
        tables::snapshots::{Column, Entity},
    },
    yaml::{self, Texts},
};

/// Returns a persona in the format of the column `persona`: a JSON array of the texts of
/// `agent.yaml` and `memory.yaml`. Equal personas have equal snapshots.
pub(crate) fn to_snapshot(config: &AgentConfig) -> String {
    let texts = yaml::print(None, config, String::new());
    serde_json::to_string(&(texts.agent, texts.memory))
        .expect("an array of two strings is always valid JSON")
}

/// Parses the snapshot of the agent `id`.
pub(super) fn parse_snapshot(id: AgentId, snapshot: &str) -> Result<AgentConfig> {
    let columns = Columns::<Entity>::of_row(id);
    let corrupt = |reason: &dyn Display| columns.corrupt(Column::Persona, reason);
    let (agent, memory): (String, String) =
        serde_json::from_str(snapshot).map_err(|error| corrupt(&error))?;
    let texts = Texts {
        agent,
        memory,
        group: String::new(),
    };
    let persona = yaml::parse(&texts).map_err(|why| corrupt(&why))?;
    Ok(persona.config)
}
