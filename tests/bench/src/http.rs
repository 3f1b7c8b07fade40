//! Requests over loopback: the program against a bare axum handler that answers the same bytes on the same route behind the
//! same middleware, authentication and limits among it, and against axum alone, with nothing around it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use app::{Access, App, Caller, Settings};
use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    routing::get,
};
use cache_core::Runtime;
use domain::{
    AgentConfig, AgentName, MessageId, NewAgent, NewMessage, NewRoom, RoomId, RoomName, UserId,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    Run,
    measure::{Estimate, cpu, micros, number, percentile, ratios},
    plot::{Kind, Plot},
    report::{Goal, Part, Ratio, Table},
    wire::Connection,
};

/// Requests per measurement.
const REQUESTS: usize = 4_800;
/// Rounds of each process, in which every order of the three comes twice.
const ROUNDS: usize = 12;
const CLIENTS: usize = 2;
/// Browsers of each client, each with a connection and a token of its own. A client asks for some of them at once, then
/// waits for all: with one the server is woken for each request, and that is most of what is measured; with several it
/// always has something to do.
const LOADS: [(&str, usize); 2] = [
    ("one at a time", 1),
    ("sixteen at once", BROWSERS / CLIENTS),
];
const BROWSERS: usize = 16;
/// In which the browsers are, as many in each.
const ROOMS: usize = 4;
const MESSAGES: usize = 20;

/// The servers in one process of their own, so that its CPU time is theirs: what is asked, on standard output, a line each:
/// its name, the addresses of ours, of the bare handler, and of axum alone, and each browser's path and token.
pub async fn serve() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let settings = Settings {
        database: format!("sqlite:{}", folder.path().join("greenroom.db").display()),
        ..tests::server::settings(folder.path())
    };
    let app = Arc::new(
        app::wire(&settings, Runtime::tokio())
            .await
            .expect("SQLite opens"),
    );
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(furnish(&app, number).await);
    }
    let tokens: Vec<_> = (0..BROWSERS)
        .map(|_| app.auth.issue(&Caller::admin()))
        .collect();
    let ours = listen(app::router(app.clone(), &settings), &settings).await;
    let poll = |room: &Furnished, behind: usize| {
        format!(
            "/rooms/{}/messages/poll?since_id={}",
            room.id, room.newest[behind]
        )
    };
    let asked = [
        (
            "empty-poll",
            "/rooms/{room}/messages/poll",
            rooms.iter().map(|room| poll(room, 0)).collect::<Vec<_>>(),
        ),
        (
            "poll-of-20-messages",
            "/rooms/{room}/messages/poll",
            rooms.iter().map(|room| poll(room, MESSAGES)).collect(),
        ),
        (
            "chatting-agents",
            "/rooms/{room}/chatting-agents",
            rooms
                .iter()
                .map(|room| format!("/rooms/{}/chatting-agents", room.id))
                .collect(),
        ),
        (
            "room",
            "/rooms/{room}",
            rooms
                .iter()
                .map(|room| format!("/rooms/{}", room.id))
                .collect(),
        ),
    ];
    for (name, route, paths) in asked {
        let (asked, token) = (paths.clone(), tokens[0].clone());
        let answers = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(ours, &token);
            // Twice: the second answer is from memory.
            [(); 2].map(|()| {
                asked
                    .iter()
                    .map(|path| connection.ask(path))
                    .collect::<Vec<_>>()
            })[1]
                .clone()
        });
        let answers = answers.await.expect("it does not panic");
        assert!(
            answers
                .iter()
                .all(|(head, _)| head.contains("greenroom; hit")),
            "{answers:?}"
        );
        let ready = answers.into_iter().map(|(_, body)| Bytes::from(body));
        let ready: &HashMap<i64, Bytes> = Box::leak(Box::new(
            rooms.iter().map(|room| room.id.0).zip(ready).collect(),
        ));
        let bare =
            get(move |_: Access, Path(room): Path<i64>| async move { answer(&ready[&room]) });
        let bare = app::with_layers(
            Router::new().route(route, bare).with_state(app.clone()),
            &app,
            &settings,
        );
        let plain = rooms
            .iter()
            .zip(&paths)
            .fold(Router::new(), |plain, (room, path)| {
                let body = &ready[&room.id.0];
                plain.route(
                    path.split('?').next().expect("a path"),
                    get(async move || answer(body)),
                )
            });
        let (bare, plain) = (listen(bare, &settings).await, listen_plainly(plain).await);
        let browsers: Vec<_> = tokens
            .iter()
            .zip(paths.iter().cycle())
            .map(|(token, path)| format!("{path} {token}"))
            .collect();
        println!("{name} {ours} {bare} {plain} {}", browsers.join(" "));
    }
    println!("ready");
    std::future::pending::<()>().await;
}

/// A room with an agent and its messages.
struct Furnished {
    id: RoomId,
    /// The ids of its messages, the newest first.
    newest: Vec<MessageId>,
}

async fn furnish(app: &App, number: usize) -> Furnished {
    let ports = &app.cache.repositories;
    let name = RoomName::parse(&format!("room {number}")).expect("a name");
    let id = ports
        .rooms
        .create(NewRoom {
            owner: UserId::admin(),
            name,
            max_interactions: None,
        })
        .await
        .expect("it is stored")
        .id;
    let name = AgentName::parse(&format!("Agent {number}")).expect("a name");
    let new = NewAgent {
        name,
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    let agent = ports.agents.create(new).await.expect("it is stored").id;
    ports
        .rooms
        .add_member(id, agent)
        .await
        .expect("it is stored");
    let mut newest = Vec::new();
    for n in 0..60 {
        let text = format!(
            "message {n}: {}",
            "some words of a usual message, ".repeat(8)
        );
        newest.insert(
            0,
            ports
                .messages
                .append(NewMessage::from_agent(id, agent, text))
                .await
                .expect("it is stored")
                .id,
        );
    }
    Furnished { id, newest }
}

/// An answer that is ready and shared, so that nothing is made or copied for it.
fn answer(body: &Bytes) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        HeaderName::from_static("cache-status"),
        HeaderValue::from_static("greenroom; hit"),
    );
    (headers, body.clone())
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    (listener, address)
}

/// Serves as the program does.
async fn listen(router: Router, settings: &Settings) -> SocketAddr {
    let ((listener, address), settings) = (listener().await, settings.clone());
    tokio::spawn(
        async move { app::serve(listener, router, &settings, std::future::pending()).await },
    );
    address
}

/// Serves as axum does by itself.
async fn listen_plainly(router: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What one server took, batch by batch.
#[derive(Default)]
struct Batches {
    /// Microseconds of CPU a request.
    cpu: Vec<f64>,
    /// Requests a second.
    rate: Vec<f64>,
    /// Microseconds of each request, of all batches.
    times: Vec<f64>,
}

/// What was asked of the three servers with one load.
#[derive(Default)]
struct Asked {
    name: String,
    connections: usize,
    bytes: usize,
    /// Ours, bare, plain.
    batches: [Batches; 3],
}

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    let processes = run.size(5, 2);
    let mut all: Vec<Asked> = Vec::new();
    let progress = run.progress("processes", processes);
    // A server goes on as it began, with its luck in where things lie in memory: several count.
    for _ in 0..processes {
        let mut server = Server::start()?;
        let told = server.lines();
        all.resize_with(told.len() * LOADS.len(), Asked::default);
        for ((line, load), asked) in told
            .iter()
            .flat_map(|line| LOADS.map(|load| (line, load)))
            .zip(&mut all)
        {
            server.ask(line, load, asked)?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(reported(&all, processes * ROUNDS))
}

fn reported(all: &[Asked], rounds: usize) -> Part {
    let title = format!("{rounds} rounds of {REQUESTS} requests");
    let columns = [
        title.as_str(),
        "bytes",
        "CPU, µs: axum alone",
        "bare",
        "ours",
        "ours to bare",
        "95 % of it",
        "ours to axum alone",
        "requests a second: bare",
        "ours",
        "p50, p99, µs: bare",
        "ours",
    ];
    let mut table = Table::new(columns);
    let (mut part, mut drawn, mut raw) = (Part::default(), Vec::new(), Vec::new());
    for Asked {
        name,
        connections,
        bytes,
        batches: [by_ours, by_bare, by_plain],
    } in all
    {
        let found = Estimate::of(&ratios(&by_ours.cpu, &by_bare.cpu));
        let to_plain = Estimate::of(&ratios(&by_ours.cpu, &by_plain.cpu));
        let median = |values: &[f64]| Estimate::of(values).median;
        let times = |batches: &Batches| {
            format!(
                "{:.0}, {:.0}",
                percentile(&batches.times, 50.0),
                percentile(&batches.times, 99.0)
            )
        };
        table.row([
            name.clone(),
            bytes.to_string(),
            format!("{:.2}", median(&by_plain.cpu)),
            format!("{:.2}", median(&by_bare.cpu)),
            format!("{:.2}", median(&by_ours.cpu)),
            format!("{:.3}", found.median),
            format!("{:.3} to {:.3}", found.low, found.high),
            format!("{:.3}", to_plain.median),
            format!("{:.0}", median(&by_bare.rate)),
            format!("{:.0}", median(&by_ours.rate)),
            times(by_bare),
            times(by_ours),
        ]);
        drawn.extend([
            (format!("{name}, axum alone"), median(&by_plain.cpu), false),
            (format!("{name}, bare"), median(&by_bare.cpu), false),
            (format!("{name}, ours"), median(&by_ours.cpu), true),
        ]);
        raw.push(json!({ "what": name, "bytes": bytes, "plain_cpu_us": by_plain.cpu, "bare_cpu_us": by_bare.cpu,
            "ours_cpu_us": by_ours.cpu, "bare_a_second": by_bare.rate, "ours_a_second": by_ours.rate }));
        let goal = if *connections > 1 {
            Goal::AtMost(1.1)
        } else {
            Goal::Less
        };
        part.ratios.push(Ratio::new(
            format!("{name}: CPU of a request, times a bare handler"),
            found,
            goal,
        ));
        part.ratios.push(Ratio::new(
            format!("{name}: CPU of a request, times axum alone"),
            to_plain,
            Goal::Less,
        ));
        let rates = Estimate::of(&ratios(&by_ours.rate, &by_bare.rate));
        part.ratios.push(Ratio::new(
            format!("{name}: requests a second, times a bare handler"),
            rates,
            Goal::More,
        ));
    }
    part.tables.push(table);
    part.plots.push(Plot {
        file: "http",
        title: "Microseconds of CPU per request".into(),
        kind: Kind::Bars(drawn),
    });
    part.raw = json!(raw);
    part
}

/// The process that serves. Ended when it is dropped.
struct Server(Child);

impl Server {
    fn start() -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(this)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn();
        child
            .map(Self)
            .map_err(|error| format!("the server does not start: {error}"))
    }

    /// What it says before it is ready.
    fn lines(&mut self) -> Vec<String> {
        let mut output = std::io::BufReader::new(self.0.stdout.take().expect("it is piped"));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(
                std::io::BufRead::read_line(&mut output, &mut line).expect("it is text") > 0,
                "the server ended"
            );
            if line.trim() == "ready" {
                return lines;
            }
            lines.push(line.trim().to_owned());
        }
    }

    /// Measures what a line tells under a load, and adds it to what is known.
    fn ask(
        &self,
        line: &str,
        (load, connections): (&str, usize),
        asked: &mut Asked,
    ) -> Result<(), String> {
        let words: Vec<_> = line.split(' ').collect();
        let [name, ours, bare, plain, ref browsers @ ..] = words[..] else {
            return Err(format!("the server said {line}"));
        };
        let servers: [SocketAddr; 3] =
            [ours, bare, plain].map(|address| address.parse().expect("an address"));
        let (browsers, []) = browsers.as_chunks::<2>() else {
            return Err(format!("the server said {line}"));
        };
        for [path, token] in browsers {
            let answers = servers.map(|address| Connection::open(address, token).ask(path).1);
            assert!(
                answers[0] == answers[1] && answers[0] == answers[2],
                "the same bytes"
            );
            asked.bytes = answers[0].len();
        }
        for address in servers {
            self.batch(address, browsers, connections, &mut Batches::default());
        }
        for round in 0..ROUNDS {
            // Who goes first, and who after whom, changes, so that a drift of the machine favours nobody.
            let mut order = [0, 1, 2];
            order.rotate_left(round % 3);
            if round / 3 % 2 == 1 {
                order.reverse();
            }
            for at in order {
                self.batch(servers[at], browsers, connections, &mut asked.batches[at]);
            }
        }
        (asked.name, asked.connections) =
            (format!("{}, {load}", name.replace('-', " ")), connections);
        Ok(())
    }

    /// Requests of some browsers at a time.
    fn batch(
        &self,
        address: SocketAddr,
        browsers: &[[&str; 2]],
        connections: usize,
        into: &mut Batches,
    ) {
        let (before, began) = (cpu(self.0.id()), Instant::now());
        let times: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let of_each = browsers.chunks(browsers.len() / CLIENTS);
            let asking: Vec<_> = of_each
                .map(|browsers| scope.spawn(|| client(address, &browsers[..connections])))
                .collect();
            asking
                .into_iter()
                .map(|thread| thread.join().expect("no client panics"))
                .collect()
        });
        let (took, ran) = (began.elapsed(), cpu(self.0.id()).saturating_sub(before));
        let requests = number(REQUESTS);
        into.cpu.push(micros(ran) / requests);
        into.rate
            .push(requests / took.max(Duration::from_nanos(1)).as_secs_f64());
        into.times.extend(times.into_iter().flatten());
    }
}

/// Microseconds of each request.
fn client(address: SocketAddr, browsers: &[[&str; 2]]) -> Vec<f64> {
    let mut connections: Vec<_> = browsers
        .iter()
        .map(|[path, token]| (Connection::open(address, token), path))
        .collect();
    let mut times = Vec::with_capacity(REQUESTS / CLIENTS);
    while times.len() < REQUESTS / CLIENTS {
        let began = Instant::now();
        for (connection, path) in &mut connections {
            connection.send(path);
        }
        for (connection, _) in &mut connections {
            connection.receive();
            times.push(micros(began.elapsed()));
        }
    }
    times
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
