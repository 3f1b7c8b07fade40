//! Checks of a database and of an agents' folder. They change neither, and a server may use both
//! meanwhile.

use std::{path::Path, sync::Arc};

use domain::{ConfigProblem, Error, Result};

use crate::{
    agent_files::{disk::RealDisk, folder::AgentsFolder},
    sql::inspect::require_usable,
};

/// Checks that a database can be read, and that no newer version of Greenroom has migrated it. An
/// SQLite file must also be writable. A missing SQLite file passes if its folder exists.
///
/// Changes nothing and takes no lock, so a server may use the database meanwhile. The check does
/// not find every reason for which [`open`](crate::open) fails. For example, it does not test the
/// permissions of a PostgreSQL user.
///
/// # Errors
///
/// * [`Error::Invalid`]: the URL is not valid, the database was migrated by a newer version of
///   Greenroom, or a pooler is between this process and PostgreSQL.
/// * [`Error::Unavailable`]: the database cannot be read, or the SQLite file cannot be written.
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
/// Problems with the folders themselves come last. Returns no problems if the agents' folder does
/// not exist.
///
/// Blocks the thread while it reads files. Fails if the agents' folder cannot be listed.
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
        // Compares with the agents before this one only, so that a pair is not reported twice.
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
