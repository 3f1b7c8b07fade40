//! The savings of the cache for agents' files: the time of a cached persona read compared with a
//! bypassing one, the file reads for 30,000 answers, and the start of a process that reads 1,000
//! agents.

mod figures;
mod process_start;
mod report;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use cache_adapter::{Cache, Options};
use domain::{
    AgentConfig, AgentId, AgentName, LongTermMemory, NewAgent, RecentEvent, Repositories,
};

use crate::{
    counter::{Count, Counter},
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, start_runtime},
    store,
};
use figures::{ANSWERS, EDITS, Figures};

pub use process_start::read_all;

const AGENTS: usize = 60;
/// The number of cached reads of each agent in a round. A read takes less than a microsecond.
const CACHED_READS: usize = 200;
/// The number of bypassing reads of each agent in a round. A read takes a few hundred microseconds.
const BYPASSING_READS: usize = 2;
/// The pause between an edit of an agent's files and the next answer. During the pause, the
/// background task that checks the files detects the edit. Real edits have this time, too, because
/// composing an answer takes longer.
const PAUSE_AFTER_EDIT: Duration = Duration::from_millis(300);

/// Measures cached and bypassing reads, file reads for answers, and the start of a process.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    Ok(report::section(&start_runtime().block_on(measure(mode))?))
}

async fn measure(mode: RunMode) -> Result<Figures, BenchError> {
    let counter = Counter::global();
    let folder = tempfile::tempdir().map_err(BenchError::SetUp)?;
    let store = store::open_sqlite(folder.path()).await;
    let agents = create_agents(&store).await;
    let cache = Cache::new(store.clone(), Options::default());
    let mut cached_micros = Vec::new();
    let mut bypassing_micros = Vec::new();
    for _ in 0..mode.choose(31, 9) {
        cached_micros.push(micros_per_read(&cache.repositories, &agents, CACHED_READS).await);
        bypassing_micros.push(micros_per_read(&store, &agents, BYPASSING_READS).await);
    }
    // File system events are switched off, because they would disturb the counts. Only the probe
    // detects the edits.
    let file_watch = app::FileWatch {
        watch: false,
        ..app::FileWatch::default()
    };
    let probe = tokio::spawn(app::probe_files(cache.clone(), file_watch));
    let uncached_answers = answer(&store, &agents, folder.path(), &counter).await;
    let start = Instant::now();
    let cached_answers = answer(&cache.repositories, &agents, folder.path(), &counter).await;
    let cached_answers_seconds = start.elapsed().as_secs_f64();
    probe.abort();
    let file_bytes = |file: &str| {
        let path = folder.path().join("agents/하늘 0").join(file);
        fs::metadata(path).map_or(0, |file| file.len())
    };
    Ok(Figures {
        cached_micros,
        bypassing_micros,
        uncached_answers,
        cached_answers,
        cached_answers_seconds,
        persona_bytes: file_bytes("agent.yaml") + file_bytes("memory.yaml"),
        start: process_start::measure()?,
    })
}

async fn create_agents(store: &Repositories) -> Vec<AgentId> {
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let new = NewAgent {
            name: AgentName::parse(&format!("하늘 {number}")).expect("the agent's name is valid"),
            group: None,
            config: persona(),
            picture: None,
        };
        let agent = store.agents.create(new).await;
        agents.push(agent.expect("the store accepts the agent").id);
    }
    agents
}

/// Returns a persona of typical length.
fn persona() -> AgentConfig {
    AgentConfig {
        in_a_nutshell: "서울 골목에서 밤에만 여는 우산 수리점의 주인.".into(),
        characteristics: "말이 느리고 다정하다. 비 오는 날에는 농담이 많아진다.\n".repeat(30),
        recent_events: (0..10)
            .map(|number| RecentEvent {
                date: None,
                text: format!("빨간 우산이 {number} 번째로 돌아왔다."),
            })
            .collect(),
        long_term_memories: (0..5)
            .map(|number| LongTermMemory {
                title: format!("우산 {number}"),
                text: "할머니의 우산을 고친 날.".into(),
            })
            .collect(),
        ..AgentConfig::default()
    }
}

async fn micros_per_read(ports: &Repositories, agents: &[AgentId], times: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        for agent in agents {
            std::hint::black_box(
                ports
                    .configs
                    .find(*agent)
                    .await
                    .expect("the store returns the persona"),
            );
        }
    }
    let reads = u32::try_from(times * agents.len()).expect("the number of reads is small");
    start.elapsed().as_secs_f64() * 1e6 / f64::from(reads)
}

/// Reads one persona for each answer, and edits some files in between. Returns the number of
/// statements and file reads.
async fn answer(
    ports: &Repositories,
    agents: &[AgentId],
    folder: &Path,
    counter: &Counter,
) -> Count {
    let before = counter.count();
    for answer in 0..ANSWERS {
        let number = answer % agents.len();
        ports
            .configs
            .find(agents[number])
            .await
            .expect("the store returns the persona")
            .expect("the agent exists");
        if EDITS.contains(&answer) {
            let path = folder.join(format!("agents/하늘 {number}/agent.yaml"));
            let text = fs::read_to_string(&path).expect("the agent's file can be read");
            fs::write(&path, format!("{text}# {answer}\n"))
                .expect("the agent's file can be written");
            tokio::time::sleep(PAUSE_AFTER_EDIT).await;
        }
    }
    counter.count() - before
}
