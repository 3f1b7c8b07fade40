//! The start of a process that reads many agents.

use std::{fs, path::Path, process::Command, time::Instant};

use crate::{error::BenchError, store};

/// The number of agents.
pub(super) const AGENTS: usize = 1_000;

/// Seconds that a new process takes from its start to its end.
pub(super) struct StartTimes {
    /// The time if the process creates the database.
    pub(super) empty_database: f64,
    /// The time if the database already contains all agents.
    pub(super) known_agents: f64,
}

/// Runs a process that reads many agents, first with an empty database, then with the database that
/// the first process created.
pub(super) fn measure() -> Result<StartTimes, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::SetUp)?;
    for number in 1..=AGENTS {
        let agent = folder
            .path()
            .join(format!("agents/group {}/하늘 {number}", number % 24));
        fs::create_dir_all(&agent).map_err(BenchError::SetUp)?;
        let text = format!(
            "id: {number}\ncharacteristics: |\n{}",
            "  말이 느리고 다정하다.\n".repeat(150)
        );
        fs::write(agent.join("agent.yaml"), text).map_err(BenchError::SetUp)?;
    }
    Ok(StartTimes {
        empty_database: time_start(folder.path())?,
        known_agents: time_start(folder.path())?,
    })
}

fn time_start(folder: &Path) -> Result<f64, BenchError> {
    let program = || "bench load".to_owned();
    let start_error = |source| BenchError::Start {
        program: program(),
        source,
    };
    let executable = std::env::current_exe().map_err(start_error)?;
    let start = Instant::now();
    let status = Command::new(&executable)
        .arg("load")
        .arg(folder)
        .status()
        .map_err(start_error)?;
    if !status.success() {
        return Err(BenchError::ChildFailed {
            program: program(),
            details: status.to_string(),
        });
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Reads all agents below `folder`. Runs in the started process.
pub async fn read_all(folder: &Path) {
    let store = store::open_sqlite(folder).await;
    let agents = store.agents.list(None, 1_000).await;
    let ids: Vec<_> = agents
        .expect("the store lists the agents")
        .iter()
        .map(|agent| agent.id)
        .collect();
    let personas = store.configs.find_many(&ids).await;
    assert_eq!(
        personas.expect("the store returns the personas").len(),
        AGENTS
    );
}
