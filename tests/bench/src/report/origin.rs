//! The origin of measured figures: machine, compiler, versions of other caches, and commit.

use std::{fs, process::Command};

/// The packages of the other caches, whose versions a report names.
const OTHER_CACHES: [&str; 5] = ["cached", "foyer", "mini-moka", "moka", "quick_cache"];

/// Returns the processor's name, its number of cores, the memory, and the operating system.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, model)| model.to_owned())
    });
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = std::env::consts::OS;
    format!(
        "{} ({cores} cores, {} GiB, {system})",
        model.unwrap_or_else(|| "unknown processor".into()),
        kib.div_ceil(1024 * 1024)
    )
}

/// Returns the versions of the compiler and of the other caches.
pub fn versions() -> String {
    let compiler = output_of("rustc", "--version");
    let tree = output_of(
        "cargo",
        "tree --quiet --package bench --edges normal --prefix none --depth 1",
    );
    let caches: Vec<_> = tree
        .lines()
        .filter(|line| {
            OTHER_CACHES
                .iter()
                .any(|name| line.starts_with(&format!("{name} ")))
        })
        .map(|line| line.replace(" v", " "))
        .collect();
    let compiler = compiler.split(" (").next().unwrap_or_default();
    if caches.is_empty() {
        return compiler.to_owned();
    }
    format!("{compiler}; {}", caches.join(", "))
}

/// Returns the current commit. The text also says if files that affect the figures have changed
/// since.
pub fn commit() -> String {
    let changes = output_of(
        "git",
        "status --porcelain --untracked-files=no -- crates Cargo.lock",
    );
    let suffix = if changes.is_empty() {
        ""
    } else {
        " with local changes"
    };
    output_of("git", "rev-parse --short=12 HEAD") + suffix
}

/// Runs a program in the workspace with arguments that contain no spaces. Returns its standard
/// output, or "unknown" if it cannot be started.
fn output_of(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .current_dir(::tests::workspace())
        .output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
