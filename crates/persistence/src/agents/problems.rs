//! A report of agents' files that have errors.

use std::collections::HashSet;

use domain::{Agent, AgentName, ConfigProblem, Error, Result};

use super::table::list_living;
use crate::{agent_files::path::AgentPath, store::SqlStore};

impl SqlStore {
    /// Returns the problems with agents' files. Problems of living agents come first, in ascending
    /// order of ids. Problems of folders without an agent follow, sorted by name. Problems of
    /// folders whose agents cannot be listed come last.
    pub(super) async fn find_problems(&self) -> Result<Vec<ConfigProblem>> {
        let agents = list_living(&self.database.read()).await?;
        let mut problems = Vec::new();
        for agent in &agents {
            problems.extend(self.agent_problem(agent).await?);
        }
        let taken_paths: HashSet<_> = agents.iter().map(|agent| AgentPath::of(agent)).collect();
        let taken_names: HashSet<_> = agents.iter().map(|agent| agent.name.clone()).collect();
        let listing = self.files.list().await?;
        for path in listing.agents {
            if !taken_paths.contains(&path) {
                problems.extend(self.folder_problem(&path, &taken_names).await?);
            }
        }
        problems.extend(listing.problems.into_iter().map(|problem| ConfigProblem {
            name: problem.folder,
            text: problem.text,
        }));
        Ok(problems)
    }

    /// Returns the problem with a living agent's files, or `None` if the files are valid.
    async fn agent_problem(&self, agent: &Agent) -> Result<Option<ConfigProblem>> {
        let path = AgentPath::of(agent);
        let text = match self.files.inspect_persona(path, Some(agent.id.0)).await {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => format!(
                "{} is missing, and the last valid persona stays in use: \
                 restore the file or delete the agent",
                agent.config_file
            ),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        Ok(Some(ConfigProblem {
            name: agent.name.to_string(),
            text,
        }))
    }

    /// Returns the problem because of which the files at `path` cannot become an agent, or `None`.
    async fn folder_problem(
        &self,
        path: &AgentPath,
        taken_names: &HashSet<AgentName>,
    ) -> Result<Option<ConfigProblem>> {
        let checked = match self.files.inspect_persona(path.clone(), None).await {
            Ok(Some(persona)) => self.adoptable_id(persona.id, path).await.map(drop),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        let text = match checked {
            Err(Error::Invalid(why) | Error::Conflict(why)) => why,
            Err(error @ Error::Corrupt { .. }) => error.to_string(),
            Err(other) => return Err(other),
            Ok(())
                if taken_names
                    .iter()
                    .any(|name| name.collides_with(&path.name)) =>
            {
                format!(
                    "{}: an agent named {} already exists: rename the folder",
                    path.config_file(),
                    path.name
                )
            }
            Ok(()) => return Ok(None),
        };
        Ok(Some(ConfigProblem {
            name: path.name.to_string(),
            text,
        }))
    }
}
