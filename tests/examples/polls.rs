//! CPU per poll: this server against a bare axum handler that answers the same bytes behind the same layers.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use app::{Caller, Settings};
use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    routing::get,
};
use cache_core::Runtime;
use domain::{NewAgent, NewMessage, NewRoom, RoomName, UserId};

/// As the program is shipped; the bare handler has it, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests on each of two connections per measurement.
const REQUESTS: usize = 2_500;
const CONNECTIONS: usize = 2;
const MESSAGES: usize = 20;

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be started");
            runtime.block_on(serve());
        }
        pairs => measure(pairs.and_then(|pairs| pairs.parse().ok()).unwrap_or(31_usize).max(20)),
    }
}

/// Both servers in one process of their own, so that its CPU time is theirs: addresses and paths on standard output.
async fn serve() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let settings =
        Settings { database: format!("sqlite:{}", folder.path().join("greenroom.db").display()), ..tests::server::settings(folder.path()) };
    let app = Arc::new(app::wire(&settings, Runtime::tokio()).await.expect("SQLite opens"));
    let ports = &app.cache.repositories;
    let new = NewRoom { owner: UserId::admin(), name: RoomName::parse("tea").expect("a name"), max_interactions: None };
    let room = ports.rooms.create(new).await.expect("it is stored").id;
    let name = domain::AgentName::parse("Ada").expect("a name");
    let new = NewAgent { name, group: None, config: domain::AgentConfig::default(), picture: None };
    let agent = ports.agents.create(new).await.expect("it is stored").id;
    let mut ids = Vec::new();
    for n in 0..60 {
        let text = format!("message {n}: {}", "some words of a usual message, ".repeat(8));
        ids.push(ports.messages.append(NewMessage::from_agent(room, agent, text)).await.expect("it is stored").id.0);
    }
    let path = |since: i64| format!("/rooms/{room}/messages/poll?since_id={since}");
    let paths = [path(ids[59]), path(ids[59 - MESSAGES])];
    let ours = listen(app::router(app.clone(), &settings)).await;
    let token = app.auth.issue(&Caller::admin());
    for (place, path) in paths.iter().enumerate() {
        let (of, path, key) = (ours, path.clone(), token.clone());
        let (head, body) = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(of, &key);
            connection.ask(&path);
            connection.ask(&path)
        })
        .await
        .expect("it does not panic");
        assert!(head.contains("greenroom; hit"), "{head}");
        let handler = move || {
            let body = body.clone();
            async move {
                let mut headers = HeaderMap::new();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(HeaderName::from_static("cache-status"), HeaderValue::from_static("greenroom; hit"));
                (headers, body)
            }
        };
        let bare = listen(app::with_layers(Router::new().route("/rooms/{room}/messages/poll", get(handler)), &app, &settings)).await;
        println!("{} {ours} {bare} {} {token}", place * MESSAGES, paths[place]);
    }
    println!("ready");
    std::future::pending::<()>().await;
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn measure(pairs: usize) {
    let this = std::env::current_exe().expect("a program knows itself");
    let mut child = Command::new(this).arg("serve").stdout(Stdio::piped()).spawn().expect("it starts again");
    let told = lines(&mut child);
    println!(
        "| poll, {pairs} pairs of {} requests | bytes | bare, µs CPU | ours, µs CPU | ratio, median | 95 % of the median |",
        REQUESTS * CONNECTIONS
    );
    println!("|---|---|---|---|---|---|");
    for line in told {
        let [messages, ours, bare, path, token] = <[&str; 5]>::try_from(line.split(' ').collect::<Vec<_>>()).expect("five words");
        let (ours, bare) = (ours.parse().expect("an address"), bare.parse().expect("an address"));
        let (of_ours, of_bare) = (Connection::open(ours, token).ask(path).1, Connection::open(bare, token).ask(path).1);
        assert_eq!(of_ours, of_bare, "the same bytes");
        batch(&child, ours, path, token);
        batch(&child, bare, path, token);
        let (mut times, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
        for pair in 0..pairs {
            // Who goes first changes, so that a drift of the machine favours nobody.
            let (ours, bare) = if pair % 2 == 0 {
                let ours = batch(&child, ours, path, token);
                (ours, batch(&child, bare, path, token))
            } else {
                let bare = batch(&child, bare, path, token);
                (batch(&child, ours, path, token), bare)
            };
            times.0.push(bare);
            times.1.push(ours);
            ratios.push(ours / bare);
            eprint!("\r{messages} messages: pair {} of {pairs} ", pair + 1);
        }
        eprintln!();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = interval(&ratios);
        println!(
            "| {messages} messages | {} | {:.2} | {:.2} | {:.3} | {low:.3} to {high:.3} |",
            of_ours.len(),
            median(&mut times.0),
            median(&mut times.1),
            median(&mut ratios)
        );
    }
    child.kill().expect("it runs until it is ended");
    child.wait().expect("it ended");
}

/// What the child says before it is ready.
fn lines(child: &mut Child) -> Vec<String> {
    let mut output = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(std::io::BufRead::read_line(&mut output, &mut line).expect("it is text") > 0, "the server ended");
        if line.trim() == "ready" {
            return lines;
        }
        lines.push(line.trim().to_owned());
    }
}

/// Microseconds of the child's CPU per request.
#[expect(clippy::cast_precision_loss, reason = "times of seconds in nanoseconds")]
fn batch(child: &Child, address: SocketAddr, path: &str, token: &str) -> f64 {
    let before = cpu(child.id());
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(address, token);
                for _ in 0..REQUESTS {
                    connection.ask(path);
                }
            });
        }
    });
    (cpu(child.id()) - before) as f64 / 1_000.0 / (REQUESTS * CONNECTIONS) as f64
}

/// Nanoseconds that the threads of a process have run.
fn cpu(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("Linux tells");
    let ran = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(ran).sum()
}

struct Connection {
    stream: TcpStream,
    token: String,
    bytes: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket takes it");
        Self { stream, token: token.to_owned(), bytes: Vec::with_capacity(65_536) }
    }

    /// Head and body of the answer.
    fn ask(&mut self, path: &str) -> (String, Vec<u8>) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", self.token);
        self.stream.write_all(request.as_bytes()).expect("it listens");
        self.bytes.clear();
        let mut chunk = [0; 16_384];
        loop {
            let read = self.stream.read(&mut chunk).expect("it answers");
            assert!(read > 0, "cut off");
            self.bytes.extend_from_slice(&chunk[..read]);
            let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("it has a length");
            let length: usize = length.parse().expect("a length is a number");
            if self.bytes.len() == end + 4 + length {
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                return (head, self.bytes[end + 4..].to_vec());
            }
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The 95 % interval of the median of sorted values, by their order.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in a short list")]
fn interval(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len() as f64;
    let reach = 1.96 * count.sqrt() / 2.0;
    let place = |at: f64| sorted[(at.max(0.0) as usize).min(sorted.len() - 1)];
    (place((count / 2.0 - reach).floor()), place((count / 2.0 + reach).ceil()))
}
