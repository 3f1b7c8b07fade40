//! What the cache saves of agents' files: a hit against reading and parsing, and file reads per 10,000 answers.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cache_adapter::{Cache, Options};
use domain::{AgentConfig, AgentId, AgentName, LongTermMemory, NewAgent, RecentEvent, Repositories};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

const AGENTS: usize = 60;
const MANY: usize = 1_000;
const ANSWERS: usize = 10_000;
/// Answers after which one agent is edited by hand.
const EDITS: [usize; 3] = [2_500, 5_000, 7_500];

/// Counts what the store says of its reads of agents' files.
#[derive(Clone, Default)]
struct Counted {
    reads: Arc<AtomicUsize>,
    hashed: Arc<AtomicUsize>,
}

impl<S: tracing::Subscriber> Layer<S> for Counted {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        match event.metadata().target() {
            "persistence::files" => self.reads.fetch_add(1, Ordering::Relaxed),
            "persistence::probe" => self.hashed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be started");
    match args.next().as_deref() {
        Some("load") => runtime.block_on(read_all(Path::new(&args.next().expect("the folder")))),
        rounds => {
            let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(31_usize).max(1);
            let counted = Counted::default();
            tracing_subscriber::registry().with(counted.clone()).init();
            runtime.block_on(run(rounds, &counted));
        }
    }
}

async fn run(rounds: usize, counted: &Counted) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let store = open(folder.path()).await;
    let mut ids = Vec::new();
    for number in 0..AGENTS {
        let name = AgentName::parse(&format!("하늘 {number}")).expect("a name");
        ids.push(store.agents.create(NewAgent { name, group: None, config: persona(), picture: None }).await.expect("it is new").id);
    }
    let cache = Cache::new(store.clone(), Options::default());

    let (mut hits, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        hits.push(time(&cache.repositories, &ids, 200).await);
        bare.push(time(&store, &ids, 2).await);
    }
    let (hit, read) = (median(&mut hits), median(&mut bare));
    println!("| a persona of 5 KB, median of {rounds} | µs |\n|---|---|");
    println!("| a hit | {hit:.3} |\n| read from its files and parsed | {read:.1}, {:.0} times as long |", read / hit);

    let how = app::FileWatch { watch: false, ..app::FileWatch::default() };
    let probe = tokio::spawn(app::probe(cache.clone(), how));
    let (without, _) = answers(&store, &ids, folder.path(), counted).await;
    let (with, hashed) = answers(&cache.repositories, &ids, folder.path(), counted).await;
    probe.abort();
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let fewer = 100.0 - 100.0 * with as f64 / without as f64;
    println!("\n| file reads that serve {ANSWERS} answers, with {} edits by hand | |\n|---|---|", EDITS.len());
    println!("| without the cache | {without} |\n| with it, warm | {with}, {fewer:.2} % fewer |");
    println!("| reads of the probe, to hash | {hashed} |");
    let [new, known] = load();
    println!("\n| a fresh process that finds {MANY} agents and reads each | |\n|---|---|");
    println!("| with a new database | {new:.2?} |\n| with the one that knows them | {known:.2?} |");
}

/// How long a process of its own takes, from its beginning to its end, that finds many agents' files and reads each: with
/// a new database, and with the one that knows them.
fn load() -> [Duration; 2] {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for number in 1..=MANY {
        let agent = folder.path().join(format!("agents/group {}/하늘 {number}", number % 24));
        fs::create_dir_all(&agent).expect("it can be made");
        let text = format!("id: {number}\ncharacteristics: |\n{}", "  말이 느리고 다정하다.\n".repeat(150));
        fs::write(agent.join("agent.yaml"), text).expect("it can be written");
    }
    let this = std::env::current_exe().expect("a program knows itself");
    [(); 2].map(|()| {
        let began = Instant::now();
        let ended = Command::new(&this).arg("load").arg(folder.path()).status().expect("it starts again");
        assert!(ended.success(), "the fresh process failed");
        began.elapsed()
    })
}

/// What the fresh process does.
async fn read_all(folder: &Path) {
    let store = open(folder).await;
    let ids: Vec<_> = store.agents.list().await.expect("the store answers").iter().map(|agent| agent.id).collect();
    assert_eq!(store.configs.find_many(&ids).await.expect("the store answers").len(), MANY);
}

async fn open(folder: &Path) -> Repositories {
    let database = format!("sqlite:{}", folder.join("configs.db").display());
    loop {
        match persistence::open(&database, folder.join("agents")).await {
            Err(domain::Error::Conflict(_)) => tokio::task::yield_now().await,
            opened => return opened.expect("the store opens"),
        }
    }
}

/// Text as collections have it.
fn persona() -> AgentConfig {
    AgentConfig {
        in_a_nutshell: "서울 골목에서 밤에만 여는 우산 수리점의 주인.".into(),
        characteristics: "말이 느리고 다정하다. 비 오는 날에는 농담이 많아진다.\n".repeat(30),
        recent_events: (0..10).map(|n| RecentEvent { date: None, text: format!("빨간 우산이 {n} 번째로 돌아왔다.") }).collect(),
        long_term_memories: (0..5)
            .map(|n| LongTermMemory { title: format!("우산 {n}"), text: "할머니의 우산을 고친 날.".into() })
            .collect(),
        ..AgentConfig::default()
    }
}

async fn time(r: &Repositories, ids: &[AgentId], times: usize) -> f64 {
    let began = Instant::now();
    for _ in 0..times {
        for id in ids {
            std::hint::black_box(r.configs.find(*id).await.expect("the store answers"));
        }
    }
    let reads = u32::try_from(times * ids.len()).expect("not so many");
    began.elapsed().as_secs_f64() * 1e6 / f64::from(reads)
}

/// One persona per answer, as the prompt needs it. How many times files were read for them, and to hash them.
async fn answers(r: &Repositories, ids: &[AgentId], folder: &Path, counted: &Counted) -> (usize, usize) {
    let before = (counted.reads.load(Ordering::Relaxed), counted.hashed.load(Ordering::Relaxed));
    for answer in 0..ANSWERS {
        let at = answer % ids.len();
        r.configs.find(ids[at]).await.expect("the store answers").expect("it lives");
        if EDITS.contains(&answer) {
            let path = folder.join(format!("agents/하늘 {at}/agent.yaml"));
            let text = fs::read_to_string(&path).expect("it is there");
            fs::write(&path, format!("{text}# {answer}\n")).expect("it can be written");
            // An answer takes longer than this; the probe has its turn.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    (counted.reads.load(Ordering::Relaxed) - before.0, counted.hashed.load(Ordering::Relaxed) - before.1)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
