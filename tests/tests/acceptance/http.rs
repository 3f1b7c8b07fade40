//! No stale read over HTTP: 2,000 writes, 40,000 reads by 16 clients; and the faults that this would find.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cache_core::Fault;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    judge::{Agent, Passing, Room, State, Version, View},
    random::Random,
    server::{Client, Running},
    slow::slow,
};
use tokio::{
    sync::{Mutex as Turn, RwLock, mpsc, oneshot},
    task::JoinSet,
};

const WRITES: usize = 2_000;
const CLIENTS: usize = 16;
const ROOMS: usize = 8;
const AGENTS: usize = 12;
/// Writes under way at a time.
const LANES: usize = 6;
/// Clients that read after a write, and how often each does.
const READERS: usize = 4;
const READS: usize = 5;
/// The longest wait of a slow store: longer than a request takes on a busy machine, or nothing would overlap it.
const SLOW: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_over_http_is_stale_and_nine_of_ten_come_from_memory() {
    let run = Run {
        fault: Fault::None,
        is_slow: false,
        writes: WRITES,
        past: 3,
    }
    .go()
    .await;
    assert_eq!(run.wrong, None, "{run:?}");
    assert_eq!((run.writes, run.reads), (WRITES, WRITES * READERS * READS));
    assert!(run.hit_rate >= 90.0, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_over_http_of_a_slow_store_is_stale() {
    let run = Run {
        fault: Fault::None,
        is_slow: true,
        writes: 400,
        past: 20,
    }
    .go()
    .await;
    assert_eq!(run.wrong, None, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_invalidation_would_be_found() {
    found(Fault::LateInvalidation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_joined_older_load_would_be_found() {
    found(Fault::JoinedOlderLoad).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blind_store_would_be_found() {
    found(Fault::BlindStore).await;
}

async fn found(fault: Fault) {
    let run = Run {
        fault,
        is_slow: true,
        writes: WRITES,
        past: 20,
    }
    .go()
    .await;
    assert!(
        run.wrong
            .as_ref()
            .is_some_and(|wrong| wrong.contains("stale")),
        "{fault:?} was not found: {run:?}"
    );
}

/// One run: which fault is planted, over which store, how many writes, and how many percent of the reads go past the cache.
#[derive(Clone, Copy, Debug)]
struct Run {
    fault: Fault,
    is_slow: bool,
    writes: usize,
    past: usize,
}

/// What a run did, and the first wrong answer, at which it ended.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Done {
    seed: u64,
    writes: usize,
    reads: usize,
    hit_rate: f64,
    took: Duration,
    wrong: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Message,
    Room,
    Member,
    Agent,
    Other,
}

/// What a write touched.
#[derive(Clone, Copy, Debug)]
enum Touched {
    Log(usize),
    Room(usize),
    Members(usize),
    Agent(usize),
    Passing { is_room: bool, id: i64 },
}

#[derive(Default)]
struct RoomTurns {
    fields: [Turn<()>; 3],
    members: [Turn<()>; AGENTS],
    /// Taken alone by a clear.
    log: RwLock<()>,
}

struct World {
    state: Mutex<State>,
    random: Random,
    past: usize,
    /// One writer at a time for each value; writers of one cached key overlap.
    rooms: [RoomTurns; ROOMS],
    agents: [[Turn<()>; 4]; AGENTS],
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    left: Vec<Kind>,
    writes: usize,
    reads: usize,
    wrong: Option<String>,
}

/// Reads what was touched; drops the sender when it has.
type Job = (Touched, oneshot::Sender<()>);

impl Run {
    async fn go(self) -> Done {
        let seed = Random::seed();
        println!("{self:?}: GREENROOM_TEST_SEED={seed}");
        let server = if self.is_slow {
            let store = slow(contract::memory::repositories(), SLOW, seed);
            Running::over(store, |settings| settings.cache.fault = self.fault).await
        } else {
            Running::start(|settings| settings.cache.fault = self.fault).await
        };
        let world = Arc::new(World::new(&server.client(), seed, self).await);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let mut jobs = Vec::new();
        for _ in 0..CLIENTS {
            let (sender, receiver) = mpsc::channel(LANES);
            jobs.push(sender);
            tasks.spawn(read_all(world.clone(), server.client(), receiver));
        }
        for _ in 0..LANES {
            tasks.spawn(write_all(world.clone(), server.client(), jobs.clone()));
        }
        drop(jobs);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let took = began.elapsed();
        let stats = server.client().get("/cache/stats").await.ok();
        server.end().await;
        let counts = std::mem::take(&mut *world.counts());
        let hit_rate = stats["hit_rate"].as_f64().unwrap();
        let Counts {
            writes,
            reads,
            wrong,
            ..
        } = counts;
        let done = Done {
            seed,
            writes,
            reads,
            hit_rate,
            took,
            wrong,
        };
        let store = if self.is_slow {
            "a slow store"
        } else {
            "sqlite"
        };
        let end = done.wrong.as_deref().unwrap_or("no stale read");
        let line = format!(
            "http, {store}, {:?}: {writes} writes, {reads} reads, {hit_rate} % hits, {took:.1?}: {end}",
            self.fault
        );
        tests::report("http.txt", &line);
        done
    }
}

async fn write_all(world: Arc<World>, client: Client, jobs: Vec<mpsc::Sender<Job>>) {
    while let Some(kind) = world.next() {
        let touched = match world.write(&client, kind).await {
            Ok(touched) => touched,
            Err(wrong) => return world.stop(wrong),
        };
        let mut readers: Vec<_> = jobs.iter().collect();
        world.random.shuffle(&mut readers);
        let mut ends = Vec::new();
        for reader in &readers[..READERS] {
            let (end, ended) = oneshot::channel();
            // A client ends only after the first wrong answer.
            let _ = reader.send((touched, end)).await;
            ends.push(ended);
        }
        for ended in ends {
            let _ = ended.await;
        }
    }
}

async fn read_all(world: Arc<World>, client: Client, mut jobs: mpsc::Receiver<Job>) {
    while let Some((touched, end)) = jobs.recv().await {
        let mut again = None;
        for _ in 0..READS {
            if world.counts().wrong.is_some() {
                return;
            }
            let (path, view) = again.take().unwrap_or_else(|| world.choose(touched));
            let past = world.random.percent(world.past);
            if let Err(wrong) = world.read(&client, &path, view, past).await {
                return world.stop(wrong);
            }
            // What was read past the cache must be seen in it.
            again = past.then_some((path, view));
        }
        drop(end);
    }
}

impl World {
    async fn new(client: &Client, seed: u64, run: Run) -> Self {
        let random = Random::new(seed);
        let share = |percent: usize| run.writes * percent / 100;
        // Messages are appended and open no window, and a row that is stored hides an older load: a fault in windows shows with
        // the writes that do neither.
        let kinds = match run.fault {
            Fault::None => [
                (Kind::Message, 60),
                (Kind::Room, 15),
                (Kind::Member, 10),
                (Kind::Agent, 10),
                (Kind::Other, 5),
            ],
            _ => [
                (Kind::Message, 5),
                (Kind::Room, 10),
                (Kind::Member, 70),
                (Kind::Agent, 5),
                (Kind::Other, 10),
            ],
        };
        let mut left: Vec<_> = kinds
            .iter()
            .flat_map(|(kind, percent)| vec![*kind; share(*percent)])
            .collect();
        random.shuffle(&mut left);
        let mut state = State::default();
        for number in 0..AGENTS {
            let body = json!({ "name": format!("Agent {number}"), "in_a_nutshell": "v0", "characteristics": "v0" });
            let id = client.post("/agents", body).await.ok()["id"]
                .as_i64()
                .unwrap();
            state.agents.push(Agent {
                id,
                ..Agent::default()
            });
        }
        for number in 0..ROOMS {
            let id = client
                .post("/rooms", json!({ "name": State::room_name(number, 0) }))
                .await
                .ok()["id"]
                .as_i64()
                .unwrap();
            let mut members = vec![Version::default(); AGENTS];
            for at in (0..AGENTS).filter(|at| at % 3 == number % 3) {
                client
                    .post(
                        &format!("/rooms/{id}/agents/{}", state.agents[at].id),
                        Value::Null,
                    )
                    .await
                    .ok();
                members[at] = Version::at(1);
            }
            state.rooms.push(Room {
                id,
                members,
                ..Room::default()
            });
        }
        Self {
            state: Mutex::new(state),
            random,
            past: run.past,
            rooms: Default::default(),
            agents: Default::default(),
            counts: Mutex::new(Counts {
                left,
                ..Counts::default()
            }),
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for lines.
    fn with<T>(&self, then: impl FnOnce(&mut State) -> T) -> T {
        then(&mut self.state.lock().unwrap())
    }

    fn next(&self) -> Option<Kind> {
        let mut counts = self.counts();
        if counts.wrong.is_some() {
            None
        } else {
            counts.left.pop()
        }
    }

    fn stop(&self, wrong: String) {
        self.counts().wrong.get_or_insert(wrong);
    }

    /// Often the same one, so that writes meet.
    fn room(&self) -> usize {
        if self.random.percent(30) {
            0
        } else {
            self.random.below(ROOMS)
        }
    }

    async fn write(&self, client: &Client, kind: Kind) -> Result<Touched, String> {
        let touched = match kind {
            Kind::Message => self.send(client).await,
            Kind::Room => self.change_room(client).await,
            Kind::Member => self.change_member(client).await,
            Kind::Agent => self.change_agent(client).await,
            Kind::Other => match self.random.below(10) {
                0..4 => self.clear(client).await,
                4..7 => self.make(client).await,
                _ => self.delete(client).await,
            },
        }?;
        self.counts().writes += 1;
        Ok(touched)
    }

    async fn send(&self, client: &Client) -> Result<Touched, String> {
        let at = self.room();
        let _turn = self.rooms[at].log.read().await;
        let (id, epoch) = self.with(|state| (state.rooms[at].id, state.rooms[at].log.begun));
        let body = json!({ "content": epoch.to_string(), "role": "user" });
        let sent = ask(
            client,
            Method::POST,
            &format!("/rooms/{id}/messages/send"),
            body,
        )
        .await?;
        self.with(|state| state.rooms[at].log.sent(sent["id"].as_i64().unwrap()));
        Ok(Touched::Log(at))
    }

    async fn clear(&self, client: &Client) -> Result<Touched, String> {
        let at = self.room();
        let _turn = self.rooms[at].log.write().await;
        let (id, epoch) = self.with(|state| {
            state.rooms[at].log.begun += 1;
            (state.rooms[at].id, state.rooms[at].log.begun)
        });
        ask(
            client,
            Method::DELETE,
            &format!("/rooms/{id}/messages"),
            Value::Null,
        )
        .await?;
        self.with(|state| state.rooms[at].log.cleared(epoch));
        Ok(Touched::Log(at))
    }

    async fn change_room(&self, client: &Client) -> Result<Touched, String> {
        let (at, field) = (self.room(), self.random.below(3));
        let _turn = self.rooms[at].fields[field].lock().await;
        let before = self.with(|state| state.clone());
        let id = before.rooms[at].id;
        let version = self.with(|state| room_field(state, at, field).begin());
        let path = format!("/rooms/{id}");
        let shown = match (field, version % 2 == 1) {
            (0, _) => {
                ask(
                    client,
                    Method::PATCH,
                    &path,
                    json!({ "name": State::room_name(at, version) }),
                )
                .await
            }
            (1, _) => {
                ask(
                    client,
                    Method::PATCH,
                    &path,
                    json!({ "max_interactions": version }),
                )
                .await
            }
            (_, true) => ask(client, Method::POST, &format!("{path}/pause"), Value::Null).await,
            (_, false) => ask(client, Method::PATCH, &path, json!({ "is_paused": false })).await,
        }?;
        self.with(|state| {
            room_field(state, at, field).end(version);
            state.see(&before, View::Room(at), &shown)
        })?;
        Ok(Touched::Room(at))
    }

    async fn change_member(&self, client: &Client) -> Result<Touched, String> {
        let (at, agent) = (self.room(), self.random.below(AGENTS));
        let _turn = self.rooms[at].members[agent].lock().await;
        let (path, version) = self.with(|state| {
            let path = format!(
                "/rooms/{}/agents/{}",
                state.rooms[at].id, state.agents[agent].id
            );
            (path, state.rooms[at].members[agent].begin())
        });
        let method = if version % 2 == 1 {
            Method::POST
        } else {
            Method::DELETE
        };
        ask(client, method, &path, Value::Null).await?;
        self.with(|state| state.rooms[at].members[agent].end(version));
        Ok(Touched::Members(at))
    }

    async fn change_agent(&self, client: &Client) -> Result<Touched, String> {
        let (at, field) = (self.random.below(AGENTS), self.random.below(4));
        let _turn = self.agents[at][field].lock().await;
        let (id, version) =
            self.with(|state| (state.agents[at].id, agent_field(state, at, field).begin()));
        let path = format!("/agents/{id}");
        match field {
            0 => {
                ask(
                    client,
                    Method::PATCH,
                    &path,
                    json!({ "in_a_nutshell": format!("v{version}") }),
                )
                .await
            }
            1 => {
                ask(
                    client,
                    Method::PATCH,
                    &path,
                    json!({ "characteristics": format!("v{version}") }),
                )
                .await
            }
            2 => ask(client, Method::PATCH, &path, json!({ "priority": version })).await,
            _ => {
                ask(
                    client,
                    Method::POST,
                    &format!("{path}/memory"),
                    json!({ "text": format!("m{version}") }),
                )
                .await
            }
        }?;
        self.with(|state| agent_field(state, at, field).end(version));
        Ok(Touched::Agent(at))
    }

    async fn make(&self, client: &Client) -> Result<Touched, String> {
        let is_room = self.random.percent(60);
        let name = format!("passing {}", self.random.below(usize::MAX));
        let made = ask(
            client,
            Method::POST,
            if is_room { "/rooms" } else { "/agents" },
            json!({ "name": name }),
        )
        .await?;
        let id = made["id"].as_i64().unwrap();
        self.with(|state| {
            state.passing.push(Passing {
                is_room,
                id,
                deleting: false,
                deleted: false,
            });
        });
        Ok(Touched::Passing { is_room, id })
    }

    async fn delete(&self, client: &Client) -> Result<Touched, String> {
        let found = self.with(|state| {
            let at = state.passing.iter().position(|one| !one.deleting)?;
            state.passing[at].deleting = true;
            Some((at, state.passing[at]))
        });
        let Some((at, Passing { is_room, id, .. })) = found else {
            return self.make(client).await;
        };
        ask(client, Method::DELETE, &one(is_room, id), Value::Null).await?;
        self.with(|state| state.passing[at].deleted = true);
        Ok(Touched::Passing { is_room, id })
    }

    /// A read that shows what was touched, or at times something else.
    fn choose(&self, touched: Touched) -> (String, View) {
        let touched = match self.random.below(16) {
            0 => Touched::Room(self.room()),
            1 => Touched::Members(self.room()),
            2 => Touched::Log(self.room()),
            3 => Touched::Agent(self.random.below(AGENTS)),
            _ => touched,
        };
        let state = self.with(|state| state.clone());
        let dice = self.random.below(10);
        let room = |at: usize| format!("/rooms/{}", state.rooms[at].id);
        match touched {
            Touched::Room(_) if dice < 5 => ("/rooms".into(), View::Rooms),
            Touched::Log(at) if dice < 8 => {
                let since = match dice {
                    0 => 0,
                    _ => state.rooms[at].log.sample(&self.random),
                };
                (
                    format!("{}/messages/poll?since_id={since}&limit=1000", room(at)),
                    View::Log { room: at, since },
                )
            }
            Touched::Log(at) if dice < 9 => (
                format!("{}/messages", room(at)),
                View::Log { room: at, since: 0 },
            ),
            Touched::Members(at) if dice < 6 => (format!("{}/agents", room(at)), View::Members(at)),
            Touched::Room(at) | Touched::Members(at) | Touched::Log(at) => {
                (room(at), View::Room(at))
            }
            Touched::Agent(_) if dice < 1 => ("/agents".into(), View::Agents),
            Touched::Agent(at) => (format!("/agents/{}", state.agents[at].id), View::Agent(at)),
            Touched::Passing { is_room: true, .. } if dice < 3 => ("/rooms".into(), View::Rooms),
            Touched::Passing { is_room: false, .. } if dice < 3 => ("/agents".into(), View::Agents),
            // What may be made next is asked for too early.
            Touched::Passing { is_room, id } if dice < 5 => (
                one(is_room, id + 1),
                View::Passing {
                    is_room,
                    id: id + 1,
                },
            ),
            Touched::Passing { is_room, id } => (one(is_room, id), View::Passing { is_room, id }),
        }
    }

    async fn read(
        &self,
        client: &Client,
        path: &str,
        view: View,
        past: bool,
    ) -> Result<(), String> {
        let before = self.with(|state| state.clone());
        let answer = client.ask(Method::GET, path, None, past).await;
        let shown = match (view, answer.status) {
            (_, StatusCode::OK) => answer.json(),
            (View::Passing { .. }, StatusCode::NOT_FOUND) => Value::Null,
            (_, status) => return Err(format!("GET {path}: {status}")),
        };
        self.counts().reads += 1;
        let how = if past { " past the cache" } else { "" };
        self.with(|state| state.see(&before, view, &shown))
            .map_err(|wrong| format!("GET {path}{how}: {wrong}"))
    }
}

fn one(is_room: bool, id: i64) -> String {
    format!("/{}/{id}", if is_room { "rooms" } else { "agents" })
}

fn room_field(state: &mut State, at: usize, field: usize) -> &mut Version {
    let room = &mut state.rooms[at];
    [&mut room.name, &mut room.limit, &mut room.paused]
        .into_iter()
        .nth(field)
        .unwrap()
}

fn agent_field(state: &mut State, at: usize, field: usize) -> &mut Version {
    let agent = &mut state.agents[at];
    [
        &mut agent.nutshell,
        &mut agent.characteristics,
        &mut agent.priority,
        &mut agent.memory,
    ]
    .into_iter()
    .nth(field)
    .unwrap()
}

/// A write that must be taken.
async fn ask(client: &Client, method: Method, path: &str, body: Value) -> Result<Value, String> {
    let text = (!body.is_null()).then(|| body.to_string());
    let answer = client.ask(method.clone(), path, text, false).await;
    if answer.status == StatusCode::OK {
        Ok(answer.json())
    } else {
        Err(format!(
            "{method} {path}: {}",
            answer.refused(answer.status.as_u16())
        ))
    }
}
