//! Runs the steps of a command and measures how long each takes.

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// The steps that ran, with their durations.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Runs cargo with `args` in the workspace's folder, as the step `name`.
    pub(crate) fn cargo(&mut self, name: &str, args: &[&str]) -> Result<(), String> {
        self.cargo_with(name, args, &[])
    }

    /// Runs cargo with `args` and these environment variables, as the step `name`.
    pub(crate) fn cargo_with(
        &mut self,
        name: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(), String> {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(args)
            .envs(variables.iter().copied())
            .current_dir(top());
        self.run(name, &mut command)
    }

    /// Runs a command as the step `name`. Fails if the command fails.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<(), String> {
        self.run_to(name, command, &[])
    }

    /// Runs a command as the step `name`. Fails unless the command succeeds or ends with one of
    /// these exit codes.
    pub(crate) fn run_to(
        &mut self,
        name: &str,
        command: &mut Command,
        codes: &[i32],
    ) -> Result<(), String> {
        eprintln!("== {name}");
        let began = Instant::now();
        let status = command.status().map_err(|error| format!("{name}: {error}"));
        self.0.push((name.to_owned(), began.elapsed()));
        let status = status?;
        let is_success =
            status.success() || status.code().is_some_and(|code| codes.contains(&code));
        if is_success {
            Ok(())
        } else {
            Err(format!("{name} failed"))
        }
    }

    /// Prints the seconds of each step.
    pub(crate) fn summary(&self) {
        for (name, took) in &self.0 {
            eprintln!("{:>8.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// Returns the names of the files in a folder of the workspace, in order.
pub(crate) fn files_of(folder: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(top().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Returns the workspace's folder.
pub(crate) fn top() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the target folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// Removes the reports of earlier test runs.
pub(crate) fn forget_reports() -> Result<(), String> {
    match fs::remove_dir_all(target().join("reports")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Prints a line, and appends it to the report with this name.
pub(crate) fn note(report: &str, line: &str) -> Result<(), String> {
    println!("{line}");
    let folder = top().join(target()).join("reports");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join(report));
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(|error| error.to_string())
}

/// Prints the reports of the tests: which laws ran on which backend, and what did not run.
pub(crate) fn print_reports() -> Result<(), String> {
    let reports = fs::read_dir(target().join("reports"))
        .map_err(|error| format!("no test wrote a report: {error}"))?;
    let mut lines: Vec<String> = Vec::new();
    for report in reports {
        let path = report.map_err(|error| error.to_string())?.path();
        lines.extend(
            fs::read_to_string(path)
                .map_err(|error| error.to_string())?
                .lines()
                .map(str::to_owned),
        );
    }
    lines.sort();
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
