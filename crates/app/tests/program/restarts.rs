//! State that survives a restart, also after the process was killed.

use std::{process::Stdio, thread, time::Instant};

use crate::server::{Greenroom, command};

#[test]
fn a_restart_finds_everything_again_and_a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Greenroom::start(folder.path());
    assert!(
        first.password.is_some(),
        "the first start prints the generated password"
    );
    let second = command(folder.path()).output().unwrap();
    assert!(!second.status.success());
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another process uses this database"),
        "{second:?}"
    );
    assert!(first.terminate());
    let again = Greenroom::start(folder.path());
    assert_eq!(again.password, None, "later starts print no password");
    assert!(again.terminate());
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_does_not_prevent_the_next_start() {
    let kills = if std::env::var_os("GREENROOM_PROOF").is_some() {
        200
    } else {
        25
    };
    // The kills are spread evenly over the time that a complete first start takes.
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    Greenroom::start(folder.path()).kill();
    let whole = began.elapsed();
    let mut unfinished = 0;
    for number in 0..kills {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment must do, so the test waits for a time and not for an event.
        thread::sleep(whole * number / kills);
        child.kill().unwrap();
        child.wait().unwrap();
        let is_new = !folder.path().join("greenroom.db").exists();
        unfinished += usize::from(!is_new);
        assert!(Greenroom::start(folder.path()).terminate(), "kill {number}");
    }
    assert!(
        unfinished > 0,
        "no kill came after the database was created"
    );
}

#[test]
fn a_process_that_is_killed_in_the_midst_of_answers_gives_each_once_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |pace: &str| {
        // The test sends requests faster than the default limits allow.
        let settings = format!(
            "answers: {{pace: {pace}, limits: {{follow_up_rounds: 0}}}}\n\
             limits: {{requests_per_second: 1000000, request_burst: 1000000}}\n"
        );
        Greenroom::start_with_settings(folder.path(), &settings)
    };
    let server = start("200ms");
    let token = server.log_in();
    server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    for agent in 1..=3 {
        let path = format!("/rooms/1/agents/{agent}");
        server.request("POST", &path, &token, "");
    }
    let message = r#"{"content":"Good evening","role":"user"}"#;
    server.request("POST", "/rooms/1/messages/send", &token, message);
    // Wait until an agent has begun to answer, so that the kill interrupts an answer.
    let composes = |shown: &str| {
        shown.contains(r#""response_text":""#) && !shown.contains(r#""response_text":"""#)
    };
    server.wait_for(&token, "/rooms/1/chatting-agents", composes);
    server.kill();
    let server = start("0ms");
    let room = server.wait_for(&token, "/rooms/1", |room| {
        room.contains(r#""is_finished":true"#)
    });
    let (_, messages) = room.split_once(r#""messages":"#).unwrap();
    let mut speakers: Vec<_> = messages
        .split(r#""agent_name":"#)
        .skip(1)
        .map(|rest| rest.split(',').next().unwrap())
        .collect();
    assert_eq!(
        speakers.remove(0),
        "null",
        "the user's message comes first: {messages}"
    );
    speakers.sort_unstable();
    assert_eq!(speakers.len(), 3, "{messages}");
    speakers.dedup();
    assert_eq!(speakers.len(), 3, "each agent answered once");
    assert!(messages.contains("Good evening"));
    assert!(server.terminate());
}
