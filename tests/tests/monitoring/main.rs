//! The metrics, the dashboard and the alerts, in a real Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Once,
};

use serde_json::Value;
use tests::{
    prometheus::{Prometheus, promtool},
    server::TestServer,
    workspace,
};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// The beginnings of the names of our metrics.
const PREFIXES: [&str; 5] = [
    "greenroom_",
    "http_server_",
    "gen_ai_",
    "process_",
    "db_client_",
];

/// The labels of all metrics. Names of rooms, agents and users are not among them: their number has
/// no bound.
const LABELS: [&str; 19] = [
    "__name__",
    "by",
    "code",
    "currency",
    "db_client_connection_pool_name",
    "db_operation_name",
    "db_system_name",
    "error_type",
    "gen_ai_request_model",
    "gen_ai_token_type",
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "instance",
    "job",
    "le",
    "outcome",
    "region",
    "status",
];

/// Starts a server with an address for metrics, whose agents answer by the script. A model with a
/// price has the script's name.
async fn start() -> TestServer {
    // The histograms of loads and statements are made from spans of the whole process.
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        tracing_subscriber::registry()
            .with(app::span_times_layer())
            .init();
    });
    let options = "{protocol: openai, base_url: 'http://127.0.0.1:1', model: scripted, \
                    price: {currency: EUR, input: 1, output: 2}}";
    TestServer::start(|settings| {
        settings.metrics_listen = Some(([127, 0, 0, 1], 0).into());
        settings.samples = true;
        settings.answers.responder = "scripted".into();
        let options = serde_yaml::from_str(options).expect("the options are valid");
        settings.answers.models.insert("priced".into(), options);
    })
    .await
}

/// Lets an agent answer a message, and sends some requests that are refused.
async fn converse(server: &TestServer, name: &str) {
    let client = server.client();
    let room = client.create_room(name).await;
    client.add_member(room, 1).await;
    client.send_message(room, "hello").await;
    server.wait_for_answers().await;
    client.get("/rooms/999").await.refused(404);
    client
        .get("/rooms/1/messages/poll?since_id=0&wait=1")
        .await
        .ok();
}

/// Returns the expressions of the dashboard, with its variables replaced.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(workspace().join("docs/deploy/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions = targets.map(|target| {
        let expression = target["expr"].as_str().unwrap();
        let expression = expression
            .replace("$job", "greenroom")
            .replace("$region", ".*");
        expression.replace("$__rate_interval", "10s")
    });
    expressions.collect()
}

/// Returns the names of our metrics in an expression.
fn metrics_in(expression: &str) -> impl Iterator<Item = &str> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = expression.split(move |letter: char| !is_name(letter));
    words.filter(|word| {
        let is_ours = PREFIXES.iter().any(|prefix| word.starts_with(prefix));
        // Labels of the conventions have the same beginning as metrics.
        is_ours && !LABELS.contains(word)
    })
}

fn alerts() -> Vec<String> {
    let text = fs::read_to_string(workspace().join("docs/deploy/alerts.yml")).unwrap();
    let mut expressions = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim().strip_prefix("expr: ") else {
            continue;
        };
        let mut expression = expression.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
            expression.push(' ');
            expression.push_str(more.trim());
        }
        expressions.push(expression);
    }
    expressions
}

#[tokio::test]
async fn each_expression_of_the_dashboard_and_the_alerts_has_metrics_and_an_answer() {
    let server = start().await;
    let target = server
        .metrics_address()
        .expect("the server has an address for metrics");
    let Some(prometheus) = Prometheus::start("a real Prometheus", target) else {
        return;
    };
    converse(&server, "tea").await;
    prometheus.wait_for("up{job=\"greenroom\"} == 1").await;
    prometheus
        .wait_for("gen_ai_client_operations_total > 0")
        .await;
    let names: BTreeSet<_> = prometheus.names().await.into_iter().collect();
    let expressions: Vec<_> = dashboard().into_iter().chain(alerts()).collect();
    assert!(expressions.len() >= 60, "{}", expressions.len());
    let mut wrong = Vec::new();
    for expression in &expressions {
        if let Err(error) = prometheus.query(expression).await {
            wrong.push(format!("{expression}: {error}"));
        }
        let unknown = metrics_in(expression).filter(|name| !names.contains(*name));
        wrong.extend(unknown.map(|name| format!("{expression}: no metric {name}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let series = prometheus.query("{__name__=~\".+\"}").await.unwrap();
    let series = series.as_array().unwrap().iter();
    let labels: BTreeSet<_> = series
        .flat_map(|series| series["metric"].as_object().unwrap().keys().cloned())
        .collect();
    let known = LABELS.into_iter().chain(["version"]);
    assert_eq!(labels, known.map(str::to_owned).collect());
    server.end().await;
}

#[test]
fn each_alert_fires_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let rules = workspace().join("docs/deploy/alerts.yml");
    fs::copy(&rules, folder.path().join("alerts.yml")).unwrap();
    let series = include_str!("alerts_test.yml");
    fs::write(folder.path().join("alerts_test.yml"), series).unwrap();
    let arguments = ["test", "rules", "alerts_test.yml"];
    let Some(output) = promtool("alerts", folder.path(), &arguments, None) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let text = fs::read_to_string(rules).unwrap();
    for line in text.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let tested = format!("alertname: {alert}\n");
            assert_eq!(series.matches(&tested).count(), 2, "{alert} is tested");
        }
    }
}

#[tokio::test]
async fn the_metrics_are_valid_and_no_counter_falls() {
    let server = start().await;
    let address = server
        .metrics_address()
        .expect("the server has an address for metrics");
    let monitor = tests::client::Client::new(&format!("http://{address}"));
    converse(&server, "tea").await;
    let first = monitor.get("/metrics").await.text();
    converse(&server, "coffee").await;
    let second = monitor.get("/metrics").await.text();
    let second: BTreeMap<_, _> = samples(&second).collect();
    for (series, value) in samples(&first) {
        let is_counter = ["_total", "_bucket", "_count", "_sum"]
            .iter()
            .any(|end| series.split('{').next().unwrap().ends_with(end));
        if is_counter {
            assert!(
                second[series] >= value,
                "{series}: {value}, {}",
                second[series]
            );
        }
    }
    server.end().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    fs::write(&file, first).unwrap();
    let arguments = ["check", "metrics"];
    let input = Some(fs::File::open(file).unwrap());
    let Some(output) = promtool("metrics", folder.path(), &arguments, input) else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Returns the series of a text with their values.
fn samples(text: &str) -> impl Iterator<Item = (&str, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series, value.parse().ok()?))
    })
}

#[tokio::test]
async fn only_the_address_for_metrics_needs_no_token_for_them() {
    let server = TestServer::start(|settings| {
        settings.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    server.stranger().get("/metrics").await.refused(401);
    let address = server
        .metrics_address()
        .expect("the server has an address for metrics");
    let monitor = tests::client::Client::new(&format!("http://{address}"));
    let text = monitor.get("/metrics").await.text();
    assert!(text.contains("greenroom_store_up 1"), "{text}");
    assert_eq!(monitor.get("/health").await.ok()["status"], "healthy");
    assert_eq!(monitor.get("/rooms").await.status, 404);
    server.end().await;
}
