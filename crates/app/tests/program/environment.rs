//! Settings from the environment, and starts that fail.

use std::{fs, net::TcpListener};

use crate::server::{Greenroom, command};

#[test]
fn an_empty_variable_counts_as_not_set_and_a_secret_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let hash = app::hash_password("tea").unwrap();
    let file = folder.path().join("hash");
    fs::write(&file, format!("{hash}\n")).unwrap();
    let server = Greenroom::start_with(folder.path(), |program| {
        program
            .env("GREENROOM_DATABASE", "")
            .env("GREENROOM_GUEST_PASSWORD_HASH", "")
            .env("GREENROOM_ADMIN_PASSWORD_HASH", "")
            .env("GREENROOM_ADMIN_PASSWORD_HASH_FILE", &file);
    });
    assert_eq!(server.password, None, "no password is generated");
    assert!(folder.path().join("greenroom.db").exists());
    let response = server.request("POST", "/auth/login", "", r#"{"password":"tea"}"#);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(server.terminate());
}

#[test]
fn a_secret_that_cannot_be_read_is_an_error_with_its_variable_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = command(folder.path())
        .env("GREENROOM_TOKEN_SECRET_FILE", "nowhere")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success()
            && error.contains("GREENROOM_TOKEN_SECRET_FILE")
            && error.contains("nowhere"),
        "{error}"
    );
}

#[test]
fn help_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "a-secret-in-a-file").unwrap();
    let help = command(folder.path())
        .arg("--help")
        .env("GREENROOM_TOKEN_SECRET_FILE", &file)
        .env("GREENROOM_GUEST_PASSWORD_HASH", "a-secret-in-a-variable")
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(
        help.contains("--metrics-token") && !help.contains("a-secret"),
        "{help}"
    );
}

#[test]
fn a_start_that_fails_leaves_no_files_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, expected) in [
        (["--listen", &taken], "cannot listen on"),
        (
            ["--listen", "0.0.0.0:0"],
            "no administrator password is configured",
        ),
        (["--frontend", "nowhere"], "the front end has no page"),
        (
            ["--database", "postgres://nobody@127.0.0.1:1/none"],
            "127.0.0.1",
        ),
        (
            ["--admin-password-hash", "tea"],
            "neither Argon2 nor bcrypt",
        ),
        (["--responder", "nobody"], "unknown responder `nobody`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let refused = command(folder.path()).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && error.contains(expected),
            "{error}"
        );
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert!(left.is_empty(), "{arguments:?} leaves {left:?}");
    }
}
