//! `greenroom check`.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Output,
    thread::{self, JoinHandle},
};

use crate::server::{Greenroom, command};

fn check(folder: &Path, arguments: &[&str]) -> Output {
    command(folder)
        .arg("check")
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs a check that must find problems, and returns them.
fn problems(folder: &Path, arguments: &[&str]) -> String {
    let output = check(folder, arguments);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn assert_no_problems(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "no problems found\n", "{output:?}");
    assert!(output.status.success());
}

/// Returns the paths of all files in a folder with their contents. Leaves out `-shm` files, because
/// a process that only reads an SQLite database writes to its `-shm` file, too.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().ends_with("-shm") {
            continue;
        }
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_check_creates_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_no_problems(&check(folder.path(), &[]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // The first check follows a server that was stopped, the second one that was killed.
    assert!(Greenroom::start(folder.path()).terminate());
    for _ in 0..2 {
        let before = contents(folder.path());
        assert!(before.len() > 5, "{before:?}");
        assert_no_problems(&check(folder.path(), &[]));
        let after = contents(folder.path());
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new, "{} was changed", old.0);
        }
        assert_eq!(before.len(), after.len());
        Greenroom::start(folder.path()).kill();
    }
}

#[test]
fn a_check_beside_a_running_server_finds_no_problems() {
    let folder = tempfile::tempdir().unwrap();
    let server = Greenroom::start(folder.path());
    let address = server.address.trim_start_matches("http://");
    assert_no_problems(&check(folder.path(), &["--listen", address]));
    // Another program on the address is a problem.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
    });
    let found = problems(folder.path(), &["--listen", &address]);
    assert!(found.contains("cannot listen on"), "{found}");
    answering.join().unwrap();
}

#[test]
#[cfg(unix)]
fn a_link_to_a_database_that_does_not_exist_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere.db", folder.path().join("greenroom.db")).unwrap();
    let found = problems(folder.path(), &[]);
    assert!(found.contains("database: "), "{found}");
}

#[test]
fn an_empty_agents_folder_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let agents = folder.path().join("agents");
    fs::create_dir(&agents).unwrap();
    assert_no_problems(&check(folder.path(), &[]));
    assert_eq!(fs::read_dir(agents).unwrap().count(), 0);
}

#[test]
fn a_check_reports_each_problem_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agents/Ada");
    fs::create_dir_all(&agent).unwrap();
    fs::write(agent.join("agent.yaml"), "priority: high\n").unwrap();
    fs::write(folder.path().join("greenroom.db"), "not a database").unwrap();
    let arguments = ["--ttl", "room_obj=1ms", "--frontend", "nowhere"];
    let output = command(folder.path())
        .arg("check")
        .args(arguments)
        .env("GREENROOM_ADMIN_PASSWORD_HASH", "tea")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let found = String::from_utf8_lossy(&output.stdout);
    for part in [
        "room_obj",
        "Ada: agent.yaml, line 1",
        "priority",
        "the front end has no page nowhere/index.html",
        "the administrator password hash is neither",
        "database: ",
    ] {
        assert!(found.contains(part), "{part} is not in:\n{found}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 problems found"));
}

#[test]
fn a_check_names_a_model_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "answers:
  responder: local
  models:
    local: {protocol: openai, model: x, base_url: 'no url'}
";
    fs::write(folder.path().join("greenroom.yaml"), settings).unwrap();
    let found = problems(folder.path(), &["--config", "greenroom.yaml"]);
    assert!(found.contains("settings: model `local`: "), "{found}");
}

/// Answers one request of a model's client for each response. Returns the first lines of the
/// requests.
fn answer_each(server: TcpListener, responses: &'static [(&str, &str)]) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let answer = |(status, body): &(&str, &str)| {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut part = [0; 1024];
                let length = stream.read(&mut part).unwrap();
                request.push_str(&String::from_utf8_lossy(&part[..length]));
            }
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}", body.len());
            write!(stream, "{head}\r\n\r\n{body}").unwrap();
            request.lines().next().unwrap().to_owned()
        };
        responses.iter().map(answer).collect()
    })
}

/// The body of a whole answer.
const READY: &str = r#"{"choices":[{"message":{"content":"ready"},"finish_reason":"stop"}]}"#;

#[test]
fn a_model_on_another_machine_is_reached_through_the_proxy_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let answering = answer_each(proxy, &[("200 OK", READY)]);
    let model = "{protocol: openai, model: x, base_url: 'http://models.example'}";
    let settings = format!("answers: {{models: {{a: {model}}}}}");
    fs::write(folder.path().join("greenroom.yaml"), settings).unwrap();
    let output = command(folder.path())
        .args(["check", "--config", "greenroom.yaml", "--online"])
        .env("HTTP_PROXY", address)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let request = "POST http://models.example/v1/chat/completions HTTP/1.1";
    assert_eq!(answering.join().unwrap(), [request]);
}

#[test]
fn with_online_a_check_asks_each_model_server() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = free.local_addr().unwrap();
    drop(free);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let up = server.local_addr().unwrap();
    let answering = answer_each(server, &[("200 OK", READY), ("401 Unauthorized", "{}")]);
    let settings = format!(
        "answers:
  models:
    a: {{protocol: openai, model: x, base_url: 'http://{up}/v1'}}
    b: {{protocol: openai, model: x, base_url: 'http://{up}/v1'}}
    c: {{protocol: openai, model: x, base_url: 'http://{down}/v1'}}
"
    );
    fs::write(folder.path().join("greenroom.yaml"), settings).unwrap();
    let arguments = ["--config", "greenroom.yaml"];
    assert_no_problems(&check(folder.path(), &arguments));
    let found = problems(folder.path(), &["--config", "greenroom.yaml", "--online"]);
    assert!(found.contains(r#"model `a` answers "ready""#), "{found}");
    for name in ["b", "c"] {
        assert!(found.contains(&format!("model `{name}`: ")), "{found}");
    }
    let request = "POST /v1/chat/completions HTTP/1.1";
    assert_eq!(answering.join().unwrap(), [request, request]);
}
