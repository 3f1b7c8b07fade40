//! Traces over OTLP, received by a collector that the test is.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;

use crate::server::{Greenroom, command};

/// A collector that keeps the bodies of all requests.
struct Collector {
    address: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, kept) = (stream.unwrap(), kept.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(body) = read_request(&mut reader) {
                        kept.lock().unwrap().push(body);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, bodies }
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap();
        let requests = bodies
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&**body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// Reads a request and returns its body; `None` at the end of the connection.
fn read_request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(body)
}

/// Starts a server that exports every trace.
fn start(folder: &std::path::Path, collector: &str) -> Greenroom {
    Greenroom::start_with(folder, |program| {
        program
            .args(["--otlp", collector])
            .env("OTEL_TRACES_SAMPLER", "always_on");
    })
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    found.unwrap_or_else(|| panic!("no span {name} in {names:?}"))
}

fn child<'a>(spans: &'a [Span], parent: &Span, name: &str) -> &'a Span {
    let is_it = |span: &&Span| span.name == name && span.parent_span_id == parent.span_id;
    let found = spans.iter().find(is_it);
    found.unwrap_or_else(|| panic!("{} has no child {name}", parent.name))
}

fn field(span: &Span, key: &str) -> Value {
    let found = span.attributes.iter().find(|field| field.key == key);
    let value = found.and_then(|field| field.value.clone()?.value);
    value.unwrap_or_else(|| panic!("{} has no {key}", span.name))
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

#[test]
fn a_request_with_its_load_and_statement_is_one_trace_and_turns_are_linked_to_theirs() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let server = start(folder.path(), &collector.address);
    let token = server.log_in();
    let message = "a confidential message";
    server.request("POST", "/rooms", &token, r#"{"name":"a hidden room"}"#);
    server.request("POST", "/rooms/1/agents/1", &token, "");
    let body = format!(r#"{{"content":"{message}","role":"user"}}"#);
    server.request("POST", "/rooms/1/messages/send", &token, &body);
    let answer = "/rooms/1/messages/poll?since_id=1&wait=30";
    let answer = server.request("GET", answer, &token, "");
    assert!(answer.contains("agent_name"), "{answer}");
    // No agent reads this room meanwhile.
    server.request("POST", "/rooms", &token, r#"{"name":"a quiet room"}"#);
    server.request("POST", "/cache/clear", &token, "");
    server.request("GET", "/rooms/2", &token, "");
    server.request("GET", "/rooms/1/messages/poll", &token, "");
    assert!(server.terminate());
    let spans = collector.spans();

    let mut reads = spans.iter().filter(|span| span.name == "GET /rooms/{room}");
    let read = reads.next_back().unwrap();
    assert_eq!(read.kind, SpanKind::Server as i32);
    assert_eq!(
        field(read, "http.response.status_code"),
        Value::IntValue(200)
    );
    let load = child(&spans, read, "load room_obj");
    assert_eq!(field(load, "region"), text("room_obj"));
    assert_eq!(field(load, "outcome"), text("ok"));
    assert_eq!(field(load, "keys"), Value::IntValue(1));
    let statement = child(&spans, load, "SELECT rooms");
    assert_eq!(statement.kind, SpanKind::Client as i32);
    assert_eq!(field(statement, "db.system.name"), text("sqlite"));
    assert_eq!(statement.trace_id, read.trace_id);

    let sent = named(&spans, "POST /rooms/{room}/messages/send");
    let write = child(&spans, sent, "write");
    assert_eq!(field(write, "outcome"), text("committed"));
    for statement in ["BEGIN", "INSERT messages", "COMMIT"] {
        child(&spans, write, statement);
    }
    let ask = named(&spans, "chat scripted");
    assert_eq!(field(ask, "gen_ai.provider.name"), text("greenroom"));
    assert_eq!(field(ask, "gen_ai.usage.input_tokens"), Value::IntValue(0));
    let turn = spans.iter().find(|span| span.span_id == ask.parent_span_id);
    let turn = turn.expect("an ask belongs to a turn");
    assert_eq!(turn.name, "invoke_agent");
    assert_eq!(turn.links[0].span_id, sent.span_id);
    assert_ne!(turn.trace_id, sent.trace_id);
    assert_eq!(field(turn, "gen_ai.conversation.id"), text("1"));
    let outcome = field(turn, "greenroom.outcome");
    assert!(
        [text("said"), text("silent")].contains(&outcome),
        "{outcome:?}"
    );

    // Only requests and turns begin a trace.
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    let is_root = |span: &Span| span.kind == SpanKind::Server as i32 || span.name == "invoke_agent";
    for root in roots {
        assert!(is_root(root), "{} begins a trace", root.name);
    }

    let frequent = ["poll", "health"];
    let is_frequent = |span: &&Span| frequent.iter().any(|part| span.name.contains(part));
    assert_eq!(spans.iter().find(is_frequent), None);
    // Names, texts, tokens and keys stay in the server.
    let agent = folder.path().join("agents/Ada Brackwater/agent.yaml");
    let characteristic = std::fs::read_to_string(agent).unwrap();
    for body in collector.bodies.lock().unwrap().iter() {
        let sent = String::from_utf8_lossy(body);
        for secret in [
            message,
            "a hidden room",
            &token,
            "room_obj:1",
            "Ada Brackwater",
        ] {
            assert!(!sent.contains(secret), "{secret} was exported");
        }
        for line in characteristic.lines().filter(|line| line.len() > 20) {
            assert!(!sent.contains(line.trim()), "{line} was exported");
        }
    }
}

#[test]
fn a_request_continues_the_trace_that_its_header_names_also_if_it_is_a_frequent_one() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let server = start(folder.path(), &collector.address);
    let token = server.log_in();
    let (trace, parent) = (
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128,
        0x00f0_67aa_0ba9_02b7_u64,
    );
    let with = |token: &str, flags| {
        format!("{token}\r\ntraceparent: 00-{trace:032x}-{parent:016x}-{flags}")
    };
    server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    server.request("GET", "/rooms/1/messages/poll", &with(&token, "00"), "");
    server.request("GET", "/rooms/1/messages/poll", &with(&token, "01"), "");
    // Others cannot have traces exported.
    server.request("GET", "/health", &with("", "01"), "");
    assert!(server.terminate());
    let spans = collector.spans();
    assert!(!spans.iter().any(|span| span.name.contains("health")));
    let polls = spans.iter().filter(|span| span.name.contains("poll"));
    let polls: Vec<_> = polls
        .map(|span| {
            (
                u128::from_be_bytes(span.trace_id[..].try_into().unwrap()),
                u64::from_be_bytes(span.parent_span_id[..].try_into().unwrap()),
            )
        })
        .collect();
    assert_eq!(polls, [(trace, parent)]);
}

#[test]
fn a_collector_that_is_gone_slows_nothing_and_the_server_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    // A port on which nobody listens any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = start(folder.path(), &format!("http://{gone}"));
    let token = server.log_in();
    let began = Instant::now();
    for _ in 0..300 {
        let response = server.request("GET", "/rooms", &token, "");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
    let requests = began.elapsed();
    let began = Instant::now();
    assert!(server.terminate());
    assert!(requests < Duration::from_secs(20), "{requests:?}");
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_collector_that_never_answers_does_not_keep_the_server_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = start(
        folder.path(),
        &format!("http://{}", silent.local_addr().unwrap()),
    );
    let token = server.log_in();
    server.request("GET", "/rooms", &token, "");
    let began = Instant::now();
    assert!(server.terminate());
    let time = began.elapsed();
    assert!(time < Duration::from_secs(8), "{time:?}");
}

#[test]
fn the_environment_describes_the_service_and_the_share_of_its_traces() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let server = Greenroom::start_with(folder.path(), |program| {
        program
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)
            .env("OTEL_TRACES_SAMPLER_ARG", "1")
            .env("OTEL_SERVICE_NAME", "stage left")
            .env(
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=test",
            );
    });
    server.log_in();
    assert!(server.terminate());
    let bodies = collector.bodies.lock().unwrap();
    let body = bodies.first().expect("the login was exported");
    let request = ExportTraceServiceRequest::decode(&**body).unwrap();
    let resource = request.resource_spans[0].resource.clone().unwrap();
    let value = |key: &str| {
        let found = resource.attributes.iter().find(|field| field.key == key);
        found.and_then(|field| field.value.clone()?.value)
    };
    assert_eq!(value("service.name"), Some(text("stage left")));
    assert_eq!(value("deployment.environment.name"), Some(text("test")));
    assert!(value("service.instance.id").is_some());
    // A value that only other programs understand does not keep this one from starting.
    drop(bodies);
    let server = Greenroom::start_with(folder.path(), |program| {
        program.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    });
    assert!(server.terminate());
}

#[test]
fn an_unusable_address_of_a_collector_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["collector:4318", "ftp://collector", "nonsense"] {
        let output = command(folder.path())
            .args(["--otlp", address])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(
            errors.contains("`otlp` must be the address of a collector"),
            "{errors}"
        );
    }
}
