//! Checks of a database and an agents' folder that change neither. A server may use both meanwhile.

use std::{path::Path, sync::Arc};

use domain::{ConfigProblem, Error, Result};

use crate::{
    agent_files::{disk::RealDisk, folder::AgentsFolder},
    sql::inspect::require_usable,
};

/// Checks that [`open`](crate::open) can use a database, and changes nothing. A database that does
/// not exist yet is usable.
///
/// # Errors
///
/// * [`Error::Invalid`]: the URL is not valid, the database was migrated by a newer version of
///   Greenroom, or a pooler is between this process and PostgreSQL.
/// * [`Error::Unavailable`]: the database cannot be read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("greenroom.db");
/// persistence::check_database(&format!("sqlite:{}", file.display())).await?;
/// assert!(!file.exists());
/// # Ok(()) }
/// ```
pub async fn check_database(url: &str) -> Result<()> {
    require_usable(url).await
}

/// Returns the problems with the files in an agents' folder, sorted by the names of the agents.
/// Problems of folders whose agents cannot be listed come last. A folder that does not exist has no
/// problems.
///
/// Blocks the thread while it reads files.
///
/// ```
/// # fn main() -> domain::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let agents = folder.path().join("agents");
/// persistence::write_private(&agents.join("Ada/agent.yaml"), b"priority: high")
///     .expect("the folder is writable");
/// let problems = persistence::check_agents(&agents)?;
/// assert!(problems[0].text.contains("priority"), "{problems:?}");
/// # Ok(()) }
/// ```
pub fn check_agents(folder: &Path) -> Result<Vec<ConfigProblem>> {
    let folder = AgentsFolder::new(folder, Arc::new(RealDisk));
    let listing = folder.list()?;
    let mut problems = Vec::new();
    for (index, path) in listing.agents.iter().enumerate() {
        let name = path.name.to_string();
        match folder.check(path) {
            Ok(()) => {}
            Err(Error::Invalid(text)) => problems.push(ConfigProblem { name, text }),
            Err(other) => return Err(other),
        }
        // A colliding pair is reported once.
        let others = &listing.agents[..index];
        if let Some(other) = others
            .iter()
            .find(|other| other.name.collides_with(&path.name))
        {
            problems.push(ConfigProblem {
                name: path.name.to_string(),
                text: format!(
                    "{}: the name collides with {}: rename one of the folders",
                    path.config_file(),
                    other.config_file()
                ),
            });
        }
    }
    let unlisted = listing.problems.into_iter().map(|problem| ConfigProblem {
        name: problem.folder,
        text: problem.text,
    });
    problems.extend(unlisted);
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_private;

    #[test]
    fn two_folders_with_colliding_names_are_one_problem() {
        let root = tempfile::tempdir().unwrap();
        for file in ["Ada/agent.yaml", "Guild/ADA/agent.yaml", "Zoë/agent.yaml"] {
            write_private(&root.path().join(file), b"priority: 1").unwrap();
        }
        let problems = check_agents(root.path()).unwrap();
        let [problem] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(problem.text.contains("collides with"), "{problem:?}");
    }

    #[test]
    fn a_check_of_a_missing_folder_does_not_create_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("agents");
        assert_eq!(check_agents(&folder), Ok(Vec::new()));
        assert!(!folder.exists());
    }
}
