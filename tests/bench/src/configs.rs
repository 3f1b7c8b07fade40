//! What the cache saves of agents' files: a hit against reading and parsing, and file reads per 30,000 answers.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cache_adapter::{Cache, Options};
use domain::{
    AgentConfig, AgentId, AgentName, LongTermMemory, NewAgent, RecentEvent, Repositories,
};
use serde_json::json;

use crate::{
    Run,
    counted::{Count, Counter},
    measure::{self, Estimate, Rate, saved},
    report::{Goal, Part, Ratio, Table},
    store,
};

const AGENTS: usize = 60;
const MANY: usize = 1_000;
const ANSWERS: usize = 30_000;
/// Answers after which one agent is edited by hand.
const EDITS: [usize; 3] = [7_500, 15_000, 22_500];

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    run.runtime().block_on(measured(run))
}

async fn measured(run: Run) -> Result<Part, String> {
    let (rounds, counter) = (run.rounds(31, 9), run.counter());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let store = store::sqlite(folder.path()).await;
    let mut ids = Vec::new();
    for number in 0..AGENTS {
        let name = AgentName::parse(&format!("하늘 {number}")).expect("a name");
        ids.push(
            store
                .agents
                .create(NewAgent {
                    name,
                    group: None,
                    config: persona(),
                    picture: None,
                })
                .await
                .expect("it is new")
                .id,
        );
    }
    let cache = Cache::new(store.clone(), Options::default());

    let (mut hits, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        hits.push(time(&cache.repositories, &ids, 200).await);
        bare.push(time(&store, &ids, 2).await);
    }
    let how = app::FileWatch {
        watch: false,
        ..app::FileWatch::default()
    };
    let probe = tokio::spawn(app::probe_files(cache.clone(), how));
    let without = answers(&store, &ids, folder.path(), &counter).await;
    let began = Instant::now();
    let with = answers(&cache.repositories, &ids, folder.path(), &counter).await;
    let took = began.elapsed().as_secs_f64();
    probe.abort();
    let [new, known] = load()?;
    let [hit, read] = [&hits, &bare].map(|rounds| Estimate::of(rounds).median);
    let found = saved(
        Rate {
            events: with.files,
            of: ANSWERS,
        },
        Rate {
            events: without.files,
            of: ANSWERS,
        },
    );
    let written = |file: &str| {
        fs::metadata(folder.path().join("agents/하늘 0").join(file)).map_or(0, |file| file.len())
    };
    let mut table = Table::new([
        &format!(
            "a persona of {} bytes in its files",
            written("agent.yaml") + written("memory.yaml")
        ),
        "",
    ]);
    let mut row = |what: String, found: String| table.row([what, found]);
    row("a hit".into(), format!("{hit:.3} µs"));
    row(
        "past the cache: a SELECT, its files read and parsed".into(),
        format!("{read:.1} µs, {:.0} times as long", read / hit),
    );
    row(
        format!(
            "reads of files for {ANSWERS} answers, one after the other in {took:.1} s, with {} edits by hand, without the cache",
            EDITS.len()
        ),
        without.files.to_string(),
    );
    row(
        "the same with it, warm, while no TTL ends".into(),
        format!("{}, {:.2} % fewer", with.files, found.median),
    );
    row(
        "reads of the probe besides, to hash files younger than two seconds".into(),
        with.hashed.to_string(),
    );
    row(
        format!("a fresh process that finds {MANY} agents and reads each, with a new database"),
        format!("{new:.2} s"),
    );
    row(
        "the same with the database that knows them".into(),
        format!("{known:.2} s"),
    );
    let ratios = vec![
        Ratio::new(
            "percent fewer reads of files for answers, edits among them",
            found,
            Goal::AtLeast(99.9),
        ),
        Ratio::new(
            "reading a persona past the cache, times a hit",
            Estimate::of(&measure::ratios(&bare, &hits)),
            Goal::More,
        ),
    ];
    let raw = json!({ "hit_us": hits, "read_us": bare, "file_reads_without": without.files, "file_reads_with": with.files,
        "hashed": with.hashed, "fresh_start_seconds": { "new_database": new, "known": known } });
    Ok(Part {
        tables: vec![table],
        ratios,
        raw,
        ..Part::default()
    })
}

/// How long a process of its own takes, from its beginning to its end, that finds many agents' files and reads each: with
/// a new database, and with the one that knows them.
fn load() -> Result<[f64; 2], String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for number in 1..=MANY {
        let agent = folder
            .path()
            .join(format!("agents/group {}/하늘 {number}", number % 24));
        fs::create_dir_all(&agent).expect("it can be made");
        let text = format!(
            "id: {number}\ncharacteristics: |\n{}",
            "  말이 느리고 다정하다.\n".repeat(150)
        );
        fs::write(agent.join("agent.yaml"), text).expect("it can be written");
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut took = [0.0; 2];
    for took in &mut took {
        let began = Instant::now();
        let ended = Command::new(&this)
            .arg("load")
            .arg(folder.path())
            .status()
            .map_err(|error| error.to_string())?;
        if !ended.success() {
            return Err("the fresh process failed".into());
        }
        *took = began.elapsed().as_secs_f64();
    }
    Ok(took)
}

/// What the fresh process does.
pub async fn read_all(folder: &Path) {
    let store = store::sqlite(folder).await;
    let ids: Vec<_> = store
        .agents
        .list()
        .await
        .expect("the store answers")
        .iter()
        .map(|agent| agent.id)
        .collect();
    assert_eq!(
        store
            .configs
            .find_many(&ids)
            .await
            .expect("the store answers")
            .len(),
        MANY
    );
}

/// Text as collections have it.
fn persona() -> AgentConfig {
    AgentConfig {
        in_a_nutshell: "서울 골목에서 밤에만 여는 우산 수리점의 주인.".into(),
        characteristics: "말이 느리고 다정하다. 비 오는 날에는 농담이 많아진다.\n".repeat(30),
        recent_events: (0..10)
            .map(|n| RecentEvent {
                date: None,
                text: format!("빨간 우산이 {n} 번째로 돌아왔다."),
            })
            .collect(),
        long_term_memories: (0..5)
            .map(|n| LongTermMemory {
                title: format!("우산 {n}"),
                text: "할머니의 우산을 고친 날.".into(),
            })
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

/// One persona per answer, as the prompt needs it. What was read of files for them.
async fn answers(r: &Repositories, ids: &[AgentId], folder: &Path, counter: &Counter) -> Count {
    let before = counter.count();
    for answer in 0..ANSWERS {
        let at = answer % ids.len();
        r.configs
            .find(ids[at])
            .await
            .expect("the store answers")
            .expect("it lives");
        if EDITS.contains(&answer) {
            let path = folder.join(format!("agents/하늘 {at}/agent.yaml"));
            let text = fs::read_to_string(&path).expect("it is there");
            fs::write(&path, format!("{text}# {answer}\n")).expect("it can be written");
            // An answer takes longer than this; the probe has its turn.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    counter.count() - before
}
