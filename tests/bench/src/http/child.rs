//! The child process that runs the servers.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::target::{READY, Target};
use crate::error::BenchError;

/// A running server process. Dropping it ends the process.
pub(super) struct ServerProcess(Child);

impl ServerProcess {
    /// Starts this program as a child process that runs the servers.
    pub(super) fn start() -> Result<Self, BenchError> {
        let start_error = |source| BenchError::Start {
            program: program(),
            source,
        };
        let executable = std::env::current_exe().map_err(start_error)?;
        let child = Command::new(executable)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn();
        child.map(Self).map_err(start_error)
    }

    /// Returns the id of the process, from which the kernel reports its CPU time.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the servers are ready, and returns the targets that the process printed. Panics
    /// at a second call.
    pub(super) fn targets(&mut self) -> Result<Vec<Target>, BenchError> {
        let output = self.0.stdout.take().expect("the standard output is piped");
        let mut targets = Vec::new();
        for line in BufReader::new(output).lines() {
            let line = line.map_err(|source| BenchError::Start {
                program: program(),
                source,
            })?;
            if line.trim() == READY {
                return Ok(targets);
            }
            let target = Target::parse(&line).ok_or_else(|| BenchError::UnexpectedOutput {
                program: program(),
                line: line.clone(),
            })?;
            targets.push(target);
        }
        Err(BenchError::ChildFailed {
            program: program(),
            details: "the server ended before it was ready".into(),
        })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Errors mean that the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> String {
    "bench serve".to_owned()
}
