//! Tests the page in a real browser.

use std::process::Command;

use crate::steps::{Steps, note, target, top};

/// The version of axe-core, which finds barriers for people with disabilities. It is a tool of the
/// tests and never part of the page.
const AXE: &str = "axe-core@4.14.1";

/// Runs the tests of the page. With `screenshots`, also replaces the pictures in the documentation.
pub(crate) fn run(steps: &mut Steps, screenshots: bool) -> Result<(), String> {
    prepare(steps)?;
    let pictures = top().join("docs/images");
    let pictures = pictures.display().to_string();
    let environment = [("GREENROOM_SCREENSHOTS", pictures.as_str())];
    let environment = if screenshots { &environment[..] } else { &[] };
    steps.cargo_with("page", &["test", "--package", "page"], environment)
}

/// Installs what the tests of the page need into the target folder.
pub(crate) fn prepare(steps: &mut Steps) -> Result<(), String> {
    let folder = top().join(target()).join("page");
    if folder.join("node_modules/axe-core/axe.min.js").exists() {
        return Ok(());
    }
    if Command::new("npm").arg("--version").output().is_err() {
        return note("not-run.txt", "not run: axe-core (npm is not installed)");
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(&folder)
        .arg(AXE);
    steps.run("axe-core", &mut npm)
}
