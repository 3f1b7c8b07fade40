//! The log on standard error.

use std::fs;

use crate::server::Greenroom;

#[test]
fn the_log_holds_no_text_no_password_and_no_token_and_finds_refused_requests() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Greenroom::start_with(folder.path(), |program| {
        program
            .args(["--log-format", "json"])
            .env("GREENROOM_LOG", "trace")
            .stderr(fs::File::create(&log).unwrap());
    });
    let password = server.password.clone().unwrap();
    let token = server.log_in();
    let wrong = "a wrong password";
    let message = "a confidential message";
    let memory = "a confidential memory";
    for (path, body) in [
        ("/auth/login", format!(r#"{{"password":"{wrong}"}}"#)),
        ("/rooms", r#"{"name":"tea"}"#.to_owned()),
        (
            "/rooms/1/messages/send",
            format!(r#"{{"content":"{message}","role":"user"}}"#),
        ),
        ("/agents/1/memory", format!(r#"{{"text":"{memory}"}}"#)),
    ] {
        server.request("POST", path, &token, &body);
    }
    server.request("GET", "/rooms/1/messages/poll", &token, "");
    server.request("GET", "/agents/1/direct-room", &token, "");
    let refused = server.request("GET", "/rooms/99", &token, "");
    let (_, id) = refused.split_once("x-request-id: ").unwrap();
    let id = id.lines().next().unwrap();
    server.request("POST", "/auth/revoke", &token, r#"{"role":"admin"}"#);
    assert!(server.terminate());
    let log = fs::read_to_string(log).unwrap();
    for secret in [&*password, &token, wrong, message, memory] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let line = log
        .lines()
        .find(|line| line.contains(id))
        .expect("the refused request is in the log");
    assert!(
        line.starts_with('{') && line.contains("/rooms/{room}") && line.contains("404"),
        "{line}"
    );
    // The audit log names the caller, the address, the request and its result.
    let line = |text: &str| {
        let line = log
            .lines()
            .find(|line| line.contains("audit") && line.contains(text));
        line.unwrap_or_else(|| panic!("no line of the audit log contains {text}"))
    };
    for (text, parts) in [
        (
            "written",
            [
                r#""user":"admin""#,
                "127.0.0.1",
                r#""path":"/rooms""#,
                r#""status":200"#,
            ],
        ),
        ("logged in", [r#""user":"admin""#, "127.0.0.1", "", ""]),
        ("login refused", ["127.0.0.1", "", "", ""]),
        (
            "room created",
            [r#""user":"admin""#, "127.0.0.1", r#""object":"1""#, ""],
        ),
        (
            "all tokens of a role revoked",
            [r#""user":"admin""#, "127.0.0.1", r#""object":"Admin""#, ""],
        ),
        (
            "/rooms/99",
            [r#""user":"admin""#, "127.0.0.1", "request refused", "404"],
        ),
    ] {
        let line = line(text);
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
}
