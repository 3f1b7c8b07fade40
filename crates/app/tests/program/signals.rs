//! Signals: stopping at once, and settings that are read again.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
};

use crate::server::{Greenroom, command};

#[test]
fn a_second_signal_ends_a_server_that_waits_for_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Greenroom::start_with(folder.path(), |program| {
        program.stderr(fs::File::create(&log).unwrap());
    });
    let token = server.log_in();
    // The body of this request never arrives, so the server would wait for it.
    let mut waiting = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    write!(
        waiting,
        "POST /rooms HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\ncontent-length: 50\r\n\r\n{{"
    )
    .unwrap();
    // The server has begun to read the request when this later one is answered.
    server.wait_for(&token, "/health", |response| response.contains("healthy"));
    server.signal("TERM");
    // Two signals that arrive at the same time count as one.
    while !fs::read_to_string(&log).unwrap().contains("stopping") {
        thread::yield_now();
    }
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(130));
}

#[test]
fn settings_are_read_again_after_a_signal_to_hang_up() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("greenroom.yaml");
    let log = folder.path().join("log");
    fs::write(&settings, "limits: {message_chars: 100}\n").unwrap();
    let server = Greenroom::start_with(folder.path(), |program| {
        program
            .args(["--config", "greenroom.yaml"])
            .stderr(fs::File::create(&log).unwrap());
    });
    let token = server.log_in();
    server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    let message = r#"{"content":"a long message","role":"user"}"#;
    let send = || server.request("POST", "/rooms/1/messages/send", &token, message);
    assert!(send().starts_with("HTTP/1.1 200"));
    let logged = |text: &str| {
        let what = || fs::read_to_string(&log).unwrap().contains(text);
        server.wait_for(&token, "/health", |_| what());
    };

    fs::write(
        &settings,
        "limits: {message_chars: 5}\nwrite_timeout: 7s\nlog: debug\n",
    )
    .unwrap();
    server.signal("HUP");
    logged("settings reloaded, except some that need a restart");
    assert!(fs::read_to_string(&log).unwrap().contains("write_timeout"));
    assert!(send().starts_with("HTTP/1.1 422"));
    // The log has the level that the settings now name.
    server.wait_for(&token, "/health", |_| {
        fs::read_to_string(&log).unwrap().contains("DEBUG")
    });

    fs::write(&settings, "limits: {message_chars: many}\n").unwrap();
    server.signal("HUP");
    logged("settings not reloaded");
    assert!(
        send().starts_with("HTTP/1.1 422"),
        "the previous settings stay in force"
    );

    fs::write(&settings, "limits: {message_chars: 50}\n").unwrap();
    server.signal("HUP");
    server.wait_for(&token, "/health", |_| send().starts_with("HTTP/1.1 200"));
    assert!(server.terminate());
}

#[test]
fn a_changed_password_is_in_force_after_a_signal_to_hang_up() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("greenroom.yaml");
    let with_password = |password: &str| {
        let hash = app::hash_password(password).unwrap();
        fs::write(
            &settings,
            format!("access: {{admin_password_hash: '{hash}'}}\n"),
        )
        .unwrap();
    };
    with_password("tea");
    let server = Greenroom::start_with(folder.path(), |program| {
        program.args(["--config", "greenroom.yaml"]);
    });
    let log_in = |password: &str| {
        let body = format!(r#"{{"password":"{password}"}}"#);
        server.request("POST", "/auth/login", "", &body)
    };
    assert!(log_in("tea").starts_with("HTTP/1.1 200"));
    with_password("cake");
    server.signal("HUP");
    server.wait_for("", "/health", |_| {
        log_in("cake").starts_with("HTTP/1.1 200")
    });
    assert!(log_in("tea").starts_with("HTTP/1.1 401"));
    assert!(server.terminate());
}

#[test]
fn a_signal_ends_a_start_that_waits_for_a_database() {
    let folder = tempfile::tempdir().unwrap();
    // Accepts connections and never answers.
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/none", database.local_addr().unwrap());
    let mut program = command(folder.path())
        .args(["serve", "--database", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _connection = database.accept().unwrap();
    let killed = Command::new("kill")
        .args(["-s", "TERM", &program.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(program.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
