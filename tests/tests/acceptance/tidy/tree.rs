//! The files of the project that the tidy tests read.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Folders that contain no sources of the project.
const SKIPPED: [&str; 4] = ["target", "node_modules", "agents", "proptest-regressions"];

/// Returns the folder of the workspace's library and program crates.
pub(super) fn crates() -> PathBuf {
    tests::workspace().join("crates")
}

/// Returns the text of a file.
pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a path relative to the workspace's folder, for messages.
pub(super) fn shown(path: &Path) -> String {
    let top = tests::workspace();
    path.strip_prefix(&top)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Returns all Rust files of the workspace.
pub(super) fn rust_files() -> Vec<PathBuf> {
    files(&tests::workspace(), "rs")
}

/// Returns all Markdown pages of the workspace.
pub(super) fn pages() -> Vec<PathBuf> {
    files(&tests::workspace(), "md")
}

/// Returns the files below `folder` with the extension `ending`, sorted.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.unwrap()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extension == ending)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns the workspace's packages by name, in the form of `cargo metadata`.
pub(super) fn packages() -> BTreeMap<String, Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(tests::workspace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            (
                short(package["name"].as_str().unwrap()).to_owned(),
                package.clone(),
            )
        })
        .collect()
}

/// Returns the name of a package as the workspace uses it: the name of its folder.
pub(super) fn short(package: &str) -> &str {
    match package {
        "greenroom" => "app",
        other => other.strip_prefix("greenroom-").unwrap_or(other),
    }
}

/// Returns the part of a line before its comment.
pub(super) fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Returns the lines of a source file above its unit tests.
pub(super) fn above_tests(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
}
