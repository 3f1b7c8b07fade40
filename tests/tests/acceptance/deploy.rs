//! The examples in `docs/deploy`: nginx in front of a server, and the systemd unit.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tests::{nginx::Nginx, server::TestServer, wait::soon, workspace};

/// Runs curl over HTTP/2 with the certificate of nginx. Returns the version of HTTP, the status and
/// the body.
async fn curl(nginx: &Nginx, arguments: &[&str], path: &str) -> (String, u16, String) {
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--http2", "--max-time", "20"])
        .args(["--write-out", "\n%{http_version} %{http_code}"])
        .arg("--cacert")
        .arg(nginx.certificate())
        .args(arguments)
        .arg(format!("{}{path}", nginx.address()))
        .output()
        .await
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, end) = text
        .rsplit_once('\n')
        .unwrap_or_else(|| panic!("{output:?}"));
    let (version, status) = end.split_once(' ').unwrap();
    (version.to_owned(), status.parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn nginx_serves_http_2_and_passes_on_polls_streams_and_addresses() {
    let change = |settings: &mut app::Settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        settings.limits.logins_per_minute = 3;
    };
    let server = TestServer::start(change).await;
    let upstream = server.address();
    let Some(nginx) = Nginx::start("nginx in front of a server", upstream, |site| site) else {
        return;
    };
    let client = server.client();
    let room = client.create_room("tea").await;
    let key = format!("x-api-key: {}", client.token());
    let (version, status, body) = curl(&nginx, &["--header", &key], "/rooms").await;
    assert_eq!((version.as_str(), status), ("2", 200), "{body}");

    // A waiting poll and an event stream pass through without being buffered.
    let send = async {
        server.wait_for_listeners(room, 2).await;
        client.send_message(room, "hello").await
    };
    let poll = format!("/rooms/{room}/messages/poll?since_id=0&wait=30");
    let events = format!("/rooms/{room}/events");
    let poll_arguments = ["--header", key.as_str()];
    let stream_arguments = ["--header", key.as_str(), "--no-buffer", "--max-time", "2"];
    let (polled, streamed, id) = tokio::join!(
        curl(&nginx, &poll_arguments, &poll),
        curl(&nginx, &stream_arguments, &events),
        soon("both wait", send)
    );
    let messages: Value = serde_json::from_str(&polled.2).unwrap();
    assert_eq!(messages[0]["id"], id);
    assert!(streamed.2.contains("event: message"), "{}", streamed.2);

    // A client cannot forge its address: its fourth login is refused.
    let body = json!({ "password": "wrong" }).to_string();
    let mut statuses = Vec::new();
    for n in 0..4 {
        let forwarded = format!("x-forwarded-for: 10.0.0.{n}");
        let arguments = ["--header", forwarded.as_str(), "--data", &body];
        statuses.push(curl(&nginx, &arguments, "/auth/login").await.1);
    }
    assert_eq!(statuses, [401, 401, 401, 429]);
    server.end().await;
}

#[tokio::test]
async fn nginx_bounds_the_requests_that_one_address_has_open() {
    let server = TestServer::start(|_| {}).await;
    let fewer = |site: String| site.replace("limit_conn greenroom 200;", "limit_conn greenroom 2;");
    let Some(nginx) = Nginx::start("bounds of nginx", server.address(), fewer) else {
        return;
    };
    let client = server.client();
    let room = client.create_room("tea").await;
    let key = format!("x-api-key: {}", client.token());
    let poll = format!("/rooms/{room}/messages/poll?since_id=0&wait=30");
    let arguments = ["--header", key.as_str()];
    let others = async {
        server.wait_for_listeners(room, 2).await;
        let third = curl(&nginx, &arguments, "/rooms").await.1;
        client.send_message(room, "hello").await;
        third
    };
    let (first, second, third) = tokio::join!(
        curl(&nginx, &arguments, &poll),
        curl(&nginx, &arguments, &poll),
        soon("two polls wait", others)
    );
    assert_eq!((first.1, second.1, third), (200, 200, 429));
    server.end().await;
}

#[test]
fn systemd_accepts_the_unit_and_its_sandbox() {
    let unit = fs::read_to_string(workspace().join("docs/deploy/greenroom.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // `verify` requires that the program exists.
    let unit = unit.replace("/usr/local/bin/greenroom", "/bin/true");
    let path = folder.path().join("greenroom.service");
    fs::write(&path, unit).unwrap();
    let analyze = |arguments: &[&str]| {
        let run = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&path)
            .output();
        run.ok().map(|output| {
            let text = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            )
        })
    };
    let Some((is_valid, problems)) = analyze(&["verify", "--man=no"]) else {
        tests::report_not_run("the systemd unit", "systemd-analyze is not installed");
        return;
    };
    let own: Vec<_> = problems
        .lines()
        .filter(|line| line.contains("greenroom"))
        .collect();
    assert!(is_valid && own.is_empty(), "{problems}");
    // The exposure of a service without a sandbox is 9.6 of 10.
    let (is_safe, report) = analyze(&["security", "--offline=yes", "--threshold=30"]).unwrap();
    assert!(is_safe, "{report}");
}
