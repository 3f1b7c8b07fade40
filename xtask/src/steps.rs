//! Steps of a command, each with the seconds that it took.

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// What ran, and for how long.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Runs cargo with `args` at the top of the project.
    pub(crate) fn cargo(&mut self, name: &str, args: &[&str]) -> Result<(), String> {
        self.cargo_with(name, args, &[])
    }

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

    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<(), String> {
        self.run_to(name, command, &[])
    }

    /// The same for a command that ends well with one of these exit codes, too.
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
        let is_well = status.success() || status.code().is_some_and(|code| codes.contains(&code));
        if is_well {
            Ok(())
        } else {
            Err(format!("{name} failed"))
        }
    }

    /// Seconds per step.
    pub(crate) fn summary(&self) {
        for (name, took) in &self.0 {
            eprintln!("{:>8.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// The project's folder.
pub(crate) fn top() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// Forgets what earlier tests reported.
pub(crate) fn forget_reports() -> Result<(), String> {
    match fs::remove_dir_all(target().join("reports")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Prints a line, and adds it to a report.
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

/// Prints what tests reported: which laws ran where, and what could not run.
pub(crate) fn print_reports() -> Result<(), String> {
    let reports = fs::read_dir(target().join("reports"))
        .map_err(|error| format!("no test reported which laws ran: {error}"))?;
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
