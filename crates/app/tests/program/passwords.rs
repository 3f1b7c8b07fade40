//! Passwords on the command line and in the environment.

use std::{
    io::Write,
    process::{Output, Stdio},
};

use crate::server::command;

#[test]
fn a_password_is_hashed_from_standard_input_and_an_open_address_requires_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut hash = command(folder.path())
        .args(["hash-password", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    hash.stdin.take().unwrap().write_all(b"tea\n").unwrap();
    let output = hash.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stdout.starts_with(b"$argon2id$"),
        "{output:?}"
    );
    let open_to_all = || {
        let mut program = command(folder.path());
        program.args(["--listen", "0.0.0.0:0"]);
        program
    };
    let is_refused_with = |output: &Output, text: &str| {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(text), "{error}");
    };
    is_refused_with(
        &open_to_all().output().unwrap(),
        "GREENROOM_ADMIN_PASSWORD_HASH",
    );
    is_refused_with(
        &open_to_all()
            .env("GREENROOM_ADMIN_PASSWORD_HASH", "tea")
            .output()
            .unwrap(),
        "neither Argon2 nor bcrypt",
    );
}
