//! Settings from the environment, and starts that fail.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
};

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
        (
            ["--credentials", "/proc/credentials.yaml"],
            "/proc/credentials.yaml",
        ),
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

#[test]
fn a_start_that_another_process_prevents_leaves_no_sample_agents_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = Greenroom::start(folder.path());
    let other = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("greenroom.db").display());
    let refused = command(other.path())
        .args(["--database", &database, "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && error.contains("another process"),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(other.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(server.terminate());
}

#[test]
fn the_key_of_a_model_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "answers: {responder: m, models: {m: {preset: mistral, model: x}}}";
    fs::write(folder.path().join("greenroom.yaml"), settings).unwrap();
    let key = folder.path().join("key");
    let check = |content: &str| {
        fs::write(&key, content).unwrap();
        let output = command(folder.path())
            .args(["check", "--config", "greenroom.yaml"])
            .env("MISTRAL_API_KEY_FILE", &key)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&printed).into_owned()
    };
    let missing = check(" \n");
    assert!(
        missing.contains("MISTRAL_API_KEY is not set") && missing.contains("MISTRAL_API_KEY_FILE"),
        "{missing}"
    );
    assert_eq!(check("sk-a-key\n"), "no problems found\n");
}

#[test]
fn fewer_connections_are_admitted_if_there_are_too_few_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut program = Command::new("sh");
    program
        .current_dir(folder.path())
        .args([
            "-c",
            "ulimit -n 300; exec \"$0\" serve --listen 127.0.0.1:0",
        ])
        .arg(env!("CARGO_BIN_EXE_greenroom"))
        .stderr(fs::File::create(&log).unwrap());
    let server = Greenroom::run(program);
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("fewer connections are admitted") && log.contains("admitted=44"),
        "{log}"
    );
    assert!(server.terminate());
}

#[test]
fn a_forwarding_header_that_is_ignored_is_reported_at_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Greenroom::start_with(folder.path(), |program| {
        program.stderr(fs::File::create(&log).unwrap());
    });
    let address = server.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"password":"wrong"}"#;
    let head =
        "POST /auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 10.0.0.1";
    write!(
        stream,
        "{head}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 401"), "{response}");
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("X-Forwarded-For ignored"), "{log}");
    assert!(server.terminate());
}
