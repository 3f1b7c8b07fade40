//! Helpers for the acceptance tests.

pub mod background;
pub mod chromium;
pub mod client;
pub mod decorate;
pub mod fake_responder;
pub mod faulty;
pub mod linearizability;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod prometheus;
pub mod random;
pub mod records;
pub mod region_stats;
pub mod response;
pub mod server;
pub mod slow;
pub mod slow_link;
pub mod sse;
pub mod staleness;
pub mod store_access;
pub mod tables;
pub mod wait;

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

/// Returns the workspace's top folder.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package's folder has a parent")
        .to_path_buf()
}

/// Returns the target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// Prints a line and appends it to `reports/{report}` in the target folder.
///
/// cargo hides the output of tests that pass, but the report keeps the line. `cargo xtask test`
/// prints all reports.
pub fn report(report: &str, line: &str) {
    println!("{line}");
    let folder = target().join("reports");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(report))
        .expect("the report is writable");
    // A single call, so that the lines of concurrent tests are not mixed.
    file.write_all(format!("{line}\n").as_bytes())
        .expect("the report is writable");
}

/// Reports that a test is not run on this machine. Panics if the environment variable `CI` is
/// `true`, because every test must run there.
pub fn report_not_run(test: &str, why: &str) {
    let line = format!("not run: {test} ({why})");
    report("not-run.txt", &line);
    assert!(env::var("CI").as_deref() != Ok("true"), "{line}");
}

/// The walk-through in `docs/adding-a-backend.md`, whose code is compiled and run as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-backend.md")]
pub struct AddingABackend;
