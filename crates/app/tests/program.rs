//! The program as a user runs it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

struct Greenroom {
    child: Child,
    address: String,
    /// The administrator's, if it was made at this start.
    password: Option<String>,
}

impl Greenroom {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, |_| {})
    }

    fn start_with(folder: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut program = command(folder);
        program
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut program);
        let mut child = program.spawn().unwrap();
        let mut password = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("listening on ") {
                return Self {
                    child,
                    address: address.to_owned(),
                    password,
                };
            }
            password = line
                .rsplit_once(": ")
                .map(|(_, password)| password.to_owned());
        }
        panic!("it ended before it listened: {:?}", child.wait());
    }

    fn terminate(mut self) -> bool {
        assert!(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().success()
    }
}

/// A test that fails leaves no server behind.
impl Drop for Greenroom {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
    command.current_dir(folder);
    command
}

fn part(readme: &str, name: &str) -> String {
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->\n```")).unwrap();
    let (block, _) = rest.split_once("```\n").unwrap();
    block.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn the_walk_through_of_the_readme_prints_what_it_predicts_and_a_signal_ends_the_server() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var("CI").is_err(), "there is no curl");
        return println!("not run: the walk-through of the README (no curl)");
    }
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Greenroom::start(folder.path());
    let mut script = Command::new("bash");
    script
        .args(["-c", &part(&readme, "script")])
        .env("BASE", &server.address)
        .env("PASSWORD", server.password.as_ref().unwrap());
    let output = script.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        part(&readme, "output")
    );
    assert!(server.terminate());
}

#[test]
fn a_restart_finds_everything_again_and_a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Greenroom::start(folder.path());
    assert!(
        first.password.is_some(),
        "the password is shown at the first start"
    );
    let second = command(folder.path())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another process uses this database"),
        "{second:?}"
    );
    assert!(first.terminate());
    let again = Greenroom::start(folder.path());
    assert_eq!(again.password, None, "and never again");
    assert!(again.terminate());
}

/// What the server answers to one request, head and body.
fn ask(server: &Greenroom, method: &str, path: &str, key: &str, body: &str) -> String {
    let mut stream =
        std::net::TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\ncontent-length: {}",
        body.len()
    );
    write!(stream, "{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_log_holds_no_text_no_password_and_no_token_and_finds_what_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Greenroom::start_with(folder.path(), |program| {
        program
            .args(["--log-format", "json"])
            .env("GREENROOM_LOG", "trace")
            .stderr(std::fs::File::create(&log).unwrap());
    });
    let password = server.password.clone().unwrap();
    let login = ask(
        &server,
        "POST",
        "/auth/login",
        "",
        &format!(r#"{{"password":"{password}"}}"#),
    );
    let key = login
        .split(r#""api_key":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let wrong = "a wrong password of somebody";
    ask(
        &server,
        "POST",
        "/auth/login",
        "",
        &format!(r#"{{"password":"{wrong}"}}"#),
    );
    ask(&server, "POST", "/rooms", &key, r#"{"name":"tea"}"#);
    let (text, thought) = (
        "a text that nobody else may read",
        "a memory that nobody else may read",
    );
    ask(
        &server,
        "POST",
        "/rooms/1/messages/send",
        &key,
        &format!(r#"{{"content":"{text}","role":"user"}}"#),
    );
    ask(
        &server,
        "POST",
        "/agents/1/memory",
        &key,
        &format!(r#"{{"text":"{thought}"}}"#),
    );
    ask(&server, "GET", "/rooms/1/messages/poll", &key, "");
    let refused = ask(&server, "GET", "/rooms/99", &key, "");
    let id = refused
        .split("x-request-id: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    assert!(server.terminate());
    let log = std::fs::read_to_string(log).unwrap();
    for secret in [&*password, &key, wrong, text, thought] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let line = log
        .lines()
        .find(|line| line.contains(&id))
        .expect("what was refused is in the log");
    assert!(
        line.starts_with('{') && line.contains("/rooms/{room}") && line.contains("404"),
        "{line}"
    );
}

/// Waits until `path` shows what is wanted.
fn until(server: &Greenroom, key: &str, path: &str, wanted: impl Fn(&str) -> bool) -> String {
    let began = std::time::Instant::now();
    loop {
        let answer = ask(server, "GET", path, key, "");
        if wanted(&answer) {
            return answer;
        }
        assert!(
            began.elapsed() < std::time::Duration::from_secs(30),
            "{path} shows {answer}"
        );
    }
}

#[test]
fn a_process_that_is_killed_in_the_midst_of_answers_gives_each_once_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |pace: &str| {
        // Asked faster than people do.
        let often = "limits: {requests_per_second: 1000000, request_burst: 1000000}";
        let settings =
            format!("answers: {{pace: {pace}, limits: {{follow_up_rounds: 0}}}}\n{often}\n");
        std::fs::write(folder.path().join("greenroom.yaml"), settings).unwrap();
        Greenroom::start_with(folder.path(), |program| {
            program.args(["--config", "greenroom.yaml"]);
        })
    };
    let mut server = start("200ms");
    let password = server.password.clone().unwrap();
    let login = ask(
        &server,
        "POST",
        "/auth/login",
        "",
        &format!(r#"{{"password":"{password}"}}"#),
    );
    let key = login
        .split(r#""api_key":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    ask(&server, "POST", "/rooms", &key, r#"{"name":"tea"}"#);
    for agent in 1..=3 {
        ask(
            &server,
            "POST",
            &format!("/rooms/1/agents/{agent}"),
            &key,
            "",
        );
    }
    ask(
        &server,
        "POST",
        "/rooms/1/messages/send",
        &key,
        r#"{"content":"Good evening","role":"user"}"#,
    );
    // One speaks, whoever comes first.
    let composes = |shown: &str| {
        shown.contains(r#""response_text":""#) && !shown.contains(r#""response_text":"""#)
    };
    until(&server, &key, "/rooms/1/chatting-agents", composes);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = start("0ms");
    let room = until(&server, &key, "/rooms/1", |room| {
        room.contains(r#""is_finished":true"#)
    });
    let messages = room.split(r#""messages":"#).nth(1).unwrap();
    let mut speakers: Vec<_> = messages
        .split(r#""agent_name":"#)
        .skip(1)
        .map(|rest| rest.split(',').next().unwrap())
        .collect();
    assert_eq!(
        speakers.remove(0),
        "null",
        "the message that was answered is there: {messages}"
    );
    speakers.sort_unstable();
    assert_eq!(speakers.len(), 3, "{messages}");
    speakers.dedup();
    assert_eq!(speakers.len(), 3, "each answered once");
    assert!(messages.contains("Good evening"));
    assert!(server.terminate());
}

#[test]
fn a_password_is_hashed_from_standard_input_and_an_open_address_wants_one() {
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
    let open = || {
        let mut open = command(folder.path());
        open.args(["--listen", "0.0.0.0:0"]);
        open
    };
    let refused = open().output().unwrap();
    assert!(
        !refused.status.success()
            && String::from_utf8_lossy(&refused.stderr).contains("GREENROOM_ADMIN_PASSWORD_HASH"),
        "{refused:?}"
    );
    let refused = open()
        .env("GREENROOM_ADMIN_PASSWORD_HASH", "tea")
        .output()
        .unwrap();
    assert!(
        !refused.status.success()
            && String::from_utf8_lossy(&refused.stderr).contains("neither Argon2 nor bcrypt"),
        "{refused:?}"
    );
}

#[test]
fn an_empty_agents_folder_stays_empty_and_check_finds_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("agents")).unwrap();
    let check = command(folder.path()).arg("check").output().unwrap();
    assert!(check.status.success(), "{check:?}");
    assert_eq!(String::from_utf8_lossy(&check.stdout), "nothing is wrong\n");
    assert_eq!(
        std::fs::read_dir(folder.path().join("agents"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn check_tells_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agents/Ada");
    std::fs::create_dir_all(&agent).unwrap();
    std::fs::write(agent.join("agent.yaml"), "priority: high\n").unwrap();
    let check = command(folder.path())
        .args(["check", "--ttl", "room_obj=1ms"])
        .output()
        .unwrap();
    assert!(!check.status.success());
    let told = String::from_utf8_lossy(&check.stdout);
    for part in ["room_obj", "Ada", "agent.yaml", "priority", "line 1"] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
}

#[test]
fn unknown_settings_are_refused_by_name_and_help_names_them_all() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("greenroom.yaml"), "lissten: 1\n").unwrap();
    let refused = command(folder.path())
        .args(["check", "--config", "greenroom.yaml"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("lissten"));
    let help = command(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for name in [
        "--listen",
        "--database",
        "--agents",
        "--preset",
        "--ttl",
        "--capacity",
        "--config",
        "--no-samples",
        "GREENROOM_LISTEN",
    ] {
        assert!(help.contains(name), "{name} is not in:\n{help}");
    }
}

#[test]
fn a_python_servers_agents_are_imported_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("theirs/agents/group_모임/하늘");
    std::fs::create_dir_all(&agent).unwrap();
    std::fs::write(agent.join("in_a_nutshell.md"), "우산 수리점의 주인").unwrap();
    std::fs::write(agent.join("anti_pattern.md"), "x").unwrap();
    let run = |arguments: &[&str]| {
        let output = command(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let told = run(&["import", "theirs", "--dry-run"]);
    assert!(
        told.contains("anti_pattern.md: kept unchanged")
            && told.contains("1 agents would be imported"),
        "{told}"
    );
    assert!(!folder.path().join("agents").exists());
    assert!(run(&["import", "theirs"]).contains("1 agents imported"));
    assert!(folder.path().join("agents/모임/하늘/agent.yaml").exists());
    assert!(run(&["import", "theirs"]).contains("0 agents imported, 1 unchanged"));
    assert!(run(&["export", "back"]).contains("1 agents exported"));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("back/group_모임/하늘/in_a_nutshell.md"))
            .unwrap(),
        "우산 수리점의 주인"
    );
    assert_eq!(run(&["check"]), "nothing is wrong\n");
}
