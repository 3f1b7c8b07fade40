//! State that survives a restart, also after the process was killed.

use std::{fs, path::Path, process::Stdio, thread, time::Instant};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use tokio::runtime::Builder;

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

/// A dump of a database that the program of schema version 1 has filled.
const VERSION_1: &str = include_str!("../../../../tests/stored/version-1.sqlite.sql");

/// The number of migrations that a complete upgrade has applied.
const MIGRATIONS: i64 = 5;

/// Starts the program again and again, each time in a folder that `prepare` fills, and kills it at
/// moments that are spread evenly over a complete start. After each kill, calls `look`, and then
/// requires that the next start succeeds and ends without an error.
fn kill_starts(prepare: impl Fn(&Path), mut look: impl FnMut(&Path), check: impl Fn(&Path)) {
    let kills = if std::env::var_os("GREENROOM_PROOF").is_some() {
        200
    } else {
        25
    };
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let began = Instant::now();
    Greenroom::start(folder.path()).kill();
    let whole = began.elapsed();
    for number in 0..kills {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let mut child = command(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment must do, so the test waits for a time and not for an event.
        thread::sleep(whole * number / kills);
        child.kill().unwrap();
        child.wait().unwrap();
        look(folder.path());
        assert!(Greenroom::start(folder.path()).terminate(), "kill {number}");
        check(folder.path());
    }
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_does_not_prevent_the_next_start() {
    let mut unfinished = 0;
    let count = |folder: &Path| {
        unfinished += usize::from(folder.join("greenroom.db").exists());
    };
    kill_starts(|_| {}, count, |_| {});
    assert!(
        unfinished > 0,
        "no kill came after the database was created"
    );
}

#[test]
fn an_upgrade_that_is_killed_at_any_moment_loses_nothing_and_is_completed_by_the_next_start() {
    let stored = tempfile::tempdir().unwrap();
    let old = stored.path().join("greenroom.db");
    run_script(&old, VERSION_1);
    // More messages, so that the upgrade has rows to count and takes a while.
    run_script(
        &old,
        "INSERT INTO messages (room_id, seq, agent_id, content, role, timestamp) \
         WITH RECURSIVE n(seq) AS (SELECT 6 UNION ALL SELECT seq + 1 FROM n WHERE seq < 50000) \
         SELECT 1, seq, 1, 'message ' || seq, 'assistant', 0 FROM n",
    );
    let migrations = "SELECT count(*) FROM seaql_migrations";
    let (mut old_ones, mut upgraded) = (0, 0);
    kill_starts(
        |folder| {
            fs::copy(&old, folder.join("greenroom.db")).unwrap();
        },
        |folder| match read_number(&folder.join("greenroom.db"), migrations) {
            1 => old_ones += 1,
            _ => upgraded += 1,
        },
        |folder| {
            let database = folder.join("greenroom.db");
            assert_eq!(read_number(&database, migrations), MIGRATIONS);
            let messages = "SELECT message_count FROM rooms WHERE id = 1";
            assert_eq!(read_number(&database, messages), 50_000);
            assert_eq!(
                read_number(&database, "SELECT count(*) FROM messages"),
                50_001
            );
        },
    );
    assert!(old_ones > 0, "no kill came before the end of the upgrade");
    assert!(upgraded > 0, "no kill came after the upgrade");
}

/// Opens an SQLite database, which is created if it does not exist, and runs `work` on it.
fn with_database<T>(file: &Path, work: impl AsyncFnOnce(&DatabaseConnection) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = format!("sqlite:{}?mode=rwc", file.display());
        let connection = Database::connect(address).await.unwrap();
        let output = work(&connection).await;
        connection.close().await.unwrap();
        output
    })
}

/// Runs a script on an SQLite database.
fn run_script(file: &Path, script: &str) {
    with_database(file, async |connection| {
        connection.execute_unprepared(script).await.unwrap();
    });
}

/// Returns the number that a query returns.
fn read_number(file: &Path, query: &str) -> i64 {
    with_database(file, async |connection| {
        let query = Statement::from_string(DbBackend::Sqlite, query);
        let row = connection.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    })
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
