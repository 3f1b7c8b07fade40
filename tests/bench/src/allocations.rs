//! Allocation counts from the program `allocations`. It is a separate process, because counting
//! allocations would slow down the timed code.

use std::process::Command;

use crate::error::BenchError;

/// The mean number of bytes that one measured subject allocated, for example a hit of one cache.
pub struct Allocation {
    /// The name of the cache, or the number of entries.
    pub name: String,
    /// The mean number of bytes that one hit or one entry allocated.
    pub bytes: f64,
}

/// Runs the program `allocations` and parses its output. `argument` is `hits` or `entries`.
pub fn count(argument: &str) -> Result<Vec<Allocation>, BenchError> {
    let program = || format!("allocations {argument}");
    let start_error = |source| BenchError::Start {
        program: program(),
        source,
    };
    let executable = std::env::current_exe().map_err(start_error)?;
    let output = Command::new(executable.with_file_name("allocations"))
        .arg(argument)
        .output()
        .map_err(start_error)?;
    if !output.status.success() {
        return Err(BenchError::ChildFailed {
            program: program(),
            details: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let rows: Vec<(String, f64)> =
        serde_json::from_slice(&output.stdout).map_err(|_| BenchError::UnexpectedOutput {
            program: program(),
            line: String::from_utf8_lossy(&output.stdout).into_owned(),
        })?;
    Ok(rows
        .into_iter()
        .map(|(name, bytes)| Allocation { name, bytes })
        .collect())
}
