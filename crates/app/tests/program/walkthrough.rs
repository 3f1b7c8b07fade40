//! The walk-through of the README.

use std::{env, fs, process::Command};

use crate::server::Greenroom;

/// Returns the code block below the marker `<!-- name -->`.
fn block(readme: &str, name: &str) -> String {
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->\n```")).unwrap();
    let (block, _) = rest.split_once("```\n").unwrap();
    block.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn the_walk_through_of_the_readme_prints_what_it_predicts_and_a_signal_ends_the_server() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(env::var("CI").is_err(), "curl is not installed");
        return println!("not run: the walk-through of the README (curl is not installed)");
    }
    let readme =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Greenroom::start(folder.path());
    let mut script = Command::new("bash");
    script
        .args(["-c", &block(&readme, "script")])
        .env("BASE", &server.address)
        .env("PASSWORD", server.password.as_ref().unwrap());
    let output = script.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        block(&readme, "output")
    );
    assert!(server.terminate());
}
