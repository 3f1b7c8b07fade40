//! What the layer is for: rooms that are polled, and agents that answer, cached against uncached on the same store and
//! pool. Uncached is the same program with every region switched off.
//!
//! The clock of the TTLs is set by hand and each operation has its time on it; the driver runs one operation after the
//! other, so that the statements and reads of files between two of them are those of one. What the program does besides, by
//! that clock, is done, too. Cached, the clock goes on for whole multiples of the longest TTL, so that each entry ends as
//! often as it does in the long run; uncached nothing ends, and less is enough. Both are compared by operation.

mod answers;
mod personas;
mod polling;

use std::{path::Path, sync::Arc, time::Duration};

use app::App;
use cache_adapter::{Cache, Options, Preset};
use cache_core::{Clock, ManualClock};
use domain::{
    AgentConfig, AgentId, AgentName, NewAgent, NewMessage, NewRoom, Repositories, RoomId, RoomName,
    UserId,
};
use serde_json::json;
use tests::{postgres, server};

use crate::{
    Run,
    counted::{Count, Counter},
    measure::{Estimate, Rate, number, percentile, saved, shorter},
    plot::{Kind, Plot},
    report::{Goal, Part, Ratio, Table},
    store,
};
use answers::{Engine, Rounds};
use personas::Personas;
use polling::{Polling, Way};

/// The longest TTL of the preset that is judged, in seconds.
const LONGEST_TTL: u64 = 900;
const ROOMS: usize = 20;
/// Agents in each room.
const AGENTS: usize = 5;

/// How the same work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Uncached,
    Cached(Preset),
}

const HOWS: [How; 3] = [
    How::Uncached,
    How::Cached(Preset::Classic),
    How::Cached(Preset::Coherent),
];

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Uncached => "uncached",
            Self::Cached(Preset::Classic) => "default TTLs",
            Self::Cached(Preset::Coherent) => "`coherent`",
        }
    }
}

/// What a run of one kind of operation took.
#[derive(Clone, Debug, Default)]
struct Taken {
    /// Microseconds of each.
    times: Vec<f64>,
    count: Count,
    /// Of them, those that ran no statement.
    silent: usize,
}

impl Taken {
    /// Runs one operation, and adds what it took.
    async fn add<T>(&mut self, counter: &Counter, work: impl Future<Output = T>) -> T {
        let (before, began) = (counter.count(), std::time::Instant::now());
        let done = work.await;
        self.times.push(crate::measure::micros(began.elapsed()));
        let count = counter.count() - before;
        self.count += count;
        self.silent += usize::from(count.selects + count.others == 0);
        done
    }

    fn silent_percent(&self) -> f64 {
        100.0 * number(self.silent) / number(self.times.len())
    }

    fn silent_estimate(&self) -> Estimate {
        let of = self.times.len();
        saved(
            Rate {
                events: of - self.silent,
                of,
            },
            Rate { events: of, of },
        )
    }

    fn selects(&self) -> Rate {
        Rate {
            events: self.count.selects,
            of: self.times.len(),
        }
    }

    fn files(&self) -> Rate {
        Rate {
            events: self.count.files,
            of: self.times.len(),
        }
    }

    fn percentiles(&self) -> [f64; 3] {
        [50.0, 95.0, 99.0].map(|percent| percentile(&self.times, percent))
    }

    fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() / number(self.times.len())
    }
}

/// Rooms with agents on one store, and an app over it, its clock set by hand.
struct Stage {
    app: Arc<App>,
    settings: app::Settings,
    hand: ManualClock,
    rooms: Vec<RoomId>,
    agents: Vec<AgentId>,
    counter: Counter,
}

impl Stage {
    /// On a store where [`furnish`] was called.
    fn new(
        store: &Repositories,
        folder: &Path,
        how: How,
        rooms: &[RoomId],
        agents: &[AgentId],
        counter: &Counter,
    ) -> Self {
        let (clock, hand) = Clock::manual();
        let mut settings = server::settings(folder);
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Some(Duration::ZERO);
        let preset = if let How::Cached(preset) = how {
            preset
        } else {
            Preset::Classic
        };
        settings.cache = Options {
            preset,
            ..Options::default()
        };
        let app = server::app_over(store.clone(), &settings, clock);
        app.cache.manager.set_all_enabled(how != How::Uncached);
        Self {
            app,
            settings,
            hand,
            rooms: rooms.to_vec(),
            agents: agents.to_vec(),
            counter: counter.clone(),
        }
    }

    /// Lets time go by, and does what the program does at its times: what nobody read lately leaves memory, and what has
    /// expired.
    async fn advance(&self, by: Duration) {
        let probe = app::FileWatch::default().probe;
        let rounds = u64::try_from(app::PROBE_WINDOW.as_nanos() / probe.as_nanos()).expect("few");
        let clock = self.cache().manager.clock().clone();
        let times =
            |every: Duration, of: u64| of / u64::try_from(every.as_nanos()).expect("a short time");
        let before = clock.now();
        self.hand.advance(by);
        for _ in times(probe, before)..times(probe, clock.now()) {
            self.cache().begin_probe_round(rounds);
        }
        if times(app::CLEANUP_INTERVAL, before) < times(app::CLEANUP_INTERVAL, clock.now()) {
            self.cache().manager.cleanup().await;
        }
    }

    fn cache(&self) -> &Cache {
        &self.app.cache
    }

    fn ports(&self) -> &Repositories {
        &self.app.cache.repositories
    }

    /// Hits in percent of each region that was asked.
    fn hits(&self) -> Vec<(&'static str, f64, u64)> {
        let stats = self.cache().manager.stats().into_iter();
        stats
            .filter(|(.., stats)| stats.total_requests() > 0)
            .map(|(region, _, stats)| (region, stats.hit_rate(), stats.total_requests()))
            .collect()
    }
}

/// Rooms, each with agents and some messages.
async fn furnish(store: &Repositories) -> (Vec<RoomId>, Vec<AgentId>) {
    let mut agents = Vec::new();
    for number in 0..AGENTS * ROOMS {
        let config = AgentConfig {
            in_a_nutshell: "Mends umbrellas at night. Likes the rain.".into(),
            characteristics:
                "Speaks slowly, and of small things. Laughs when it rains. Never asks twice.\n"
                    .repeat(10),
            ..AgentConfig::default()
        };
        let name = AgentName::parse(&format!("Agent {number}")).expect("a name");
        agents.push(
            store
                .agents
                .create(NewAgent {
                    name,
                    group: None,
                    config,
                    picture: None,
                })
                .await
                .expect("it is stored")
                .id,
        );
    }
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        let name = RoomName::parse(&format!("room {number}")).expect("a name");
        let room = store
            .rooms
            .create(NewRoom {
                owner: UserId::admin(),
                name,
                max_interactions: None,
            })
            .await
            .expect("it is stored")
            .id;
        for agent in &agents[number * AGENTS..(number + 1) * AGENTS] {
            store
                .rooms
                .add_member(room, *agent)
                .await
                .expect("it is stored");
        }
        for said in 0..50 {
            let agent = agents[number * AGENTS + said % AGENTS];
            store
                .messages
                .append(NewMessage::from_agent(
                    room,
                    agent,
                    format!("message {said}, as people write them"),
                ))
                .await
                .expect("it is stored");
        }
        rooms.push(room);
    }
    (rooms, agents)
}

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    run.runtime().block_on(async {
        let mut part = Part {
            raw: json!({}),
            ..Part::default()
        };
        on(run, "SQLite", None, &mut part).await;
        match postgres::database("the workloads on PostgreSQL").await {
            Some(database) => on(run, "PostgreSQL", Some(database), &mut part).await,
            None => {
                return Err(
                    "the workloads are measured on PostgreSQL, too: its server binaries are needed"
                        .into(),
                );
            }
        }
        Ok(part)
    })
}

async fn on(run: Run, backend: &str, database: Option<String>, part: &mut Part) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let database = database.unwrap_or_else(|| store::address(folder.path()));
    let store = store::open(&database, folder.path()).await;
    let (rooms, agents) = furnish(&store).await;
    let counter = run.counter();
    let stage = |how| Stage::new(&store, folder.path(), how, &rooms, &agents, &counter);
    let progress = run.progress(backend, 5 * HOWS.len());
    let (mut polls, mut wire, mut contexts, mut engine, mut read) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for how in HOWS {
        let seconds = if how == How::Uncached {
            run.size(300, 30)
        } else {
            run.size(2 * LONGEST_TTL, LONGEST_TTL)
        };
        polls.push(polling::run(&stage(how), Way::Port, seconds).await);
        progress.inc(1);
        wire.push(polling::run(&stage(how), Way::Http, run.size(60, 20)).await);
        progress.inc(1);
        // They write, which takes longest: for a look, less than a TTL of it.
        let seconds_of_answers = run.size(seconds, seconds.min(LONGEST_TTL / 5));
        contexts.push(answers::contexts(&stage(how), seconds_of_answers).await);
        progress.inc(1);
        engine.push(answers::engine(&stage(how), seconds_of_answers.min(LONGEST_TTL)).await);
        progress.inc(1);
        read.push(personas::run(&stage(how), seconds).await);
        progress.inc(1);
    }
    progress.finish_and_clear();
    assert!(
        polls[0].reads().selects > 0 && polls[0].all().files > 0 && engine[0].count.selects > 0,
        "nothing is counted"
    );
    show_polls(backend, &polls, &wire, part);
    show_answers(backend, &contexts, &engine, part);
    show_personas(backend, &read, part);
    let of = |what: &str, taken: &dyn Fn(usize) -> f64| {
        let bar = |(at, how): (usize, &How)| {
            (
                format!("{what}, {backend}, {}", how.name().replace('`', "")),
                taken(at),
                *how != How::Uncached,
            )
        };
        HOWS.iter().enumerate().map(bar).collect::<Vec<_>>()
    };
    let mut bars = of("poll", &|at| polls[at].polls.percentiles()[0]);
    bars.extend(of("context", &|at| contexts[at].contexts.percentiles()[0]));
    bars.extend(of("configuration", &|at| read[at].reads.percentiles()[0]));
    match part.plots.first_mut() {
        Some(Plot {
            kind: Kind::Bars(before),
            ..
        }) => before.extend(bars),
        _ => part.plots.push(Plot {
            file: "workloads",
            title: "Microseconds at the port, median".into(),
            kind: Kind::Bars(bars),
        }),
    }
}

fn per_thousand(Rate { events, of }: Rate) -> String {
    format!("{:.1}", 1_000.0 * number(events) / number(of))
}

fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

/// p50, p95 and p99.
fn latency(taken: &Taken) -> String {
    let [p50, p95, p99] = taken.percentiles();
    format!("{p50:.1}, {p95:.1}, {p99:.1}")
}

/// A table with a column for each way.
struct ByHow(Table);

impl ByHow {
    fn new(title: &str) -> Self {
        Self(Table::new([
            title,
            HOWS[0].name(),
            HOWS[1].name(),
            HOWS[2].name(),
        ]))
    }

    fn row(&mut self, name: &str, of: impl Fn(usize) -> String) {
        self.0.row([name.to_owned(), of(0), of(1), of(2)]);
    }
}

fn show_polls(backend: &str, polls: &[Polling], wire: &[Polling], part: &mut Part) {
    let rate = |of: &Polling, events: usize| Rate {
        events,
        of: of.polls.times.len(),
    };
    let mut table = ByHow::new(&format!("polling, {backend}"));
    let mut row = |name: &str, of: &dyn Fn(usize) -> String| table.row(name, of);
    row("seconds of the clock", &|at| polls[at].seconds.to_string());
    row("polls, and questions who composes", &|at| {
        format!(
            "{}, {}",
            polls[at].polls.times.len(),
            polls[at].chatting.times.len()
        )
    });
    row("polls that ran no statement", &|at| {
        percent(polls[at].polls.silent_percent())
    });
    row("questions who composes that ran none", &|at| {
        percent(polls[at].chatting.silent_percent())
    });
    row("SELECTs, for 1,000 polls", &|at| {
        per_thousand(rate(&polls[at], polls[at].reads().selects))
    });
    row("statements of a write", &|at| {
        let Taken {
            count, ref times, ..
        } = polls[at].writes;
        format!(
            "{:.2}",
            number(count.selects + count.others) / number(times.len())
        )
    });
    row("reads of files, for 1,000 polls", &|at| {
        per_thousand(rate(&polls[at], polls[at].all().files))
    });
    row("before, until warm: SELECTs, and reads of files", &|at| {
        format!("{}, {}", polls[at].warming.selects, polls[at].warming.files)
    });
    row("between operations: SELECTs, and reads of files", &|at| {
        format!("{}, {}", polls[at].besides.selects, polls[at].besides.files)
    });
    row("poll at the port, µs: p50, p95, p99", &|at| {
        latency(&polls[at].polls)
    });
    row("poll over HTTP, µs: p50, p95, p99", &|at| {
        latency(&wire[at].polls)
    });
    part.tables.push(table.0);
    part.tables.push(hit_rates(
        &format!("hits while polling, {backend}"),
        &polls[1].hits,
        &polls[2].hits,
    ));
    let [without, with] = [0, 2].map(|at| &polls[at]);
    let mut ratio = |name: &str, found, goal| {
        part.ratios
            .push(Ratio::new(format!("{backend}, {name}"), found, goal));
    };
    ratio(
        "percent of polls without a statement",
        with.polls.silent_estimate(),
        Goal::AtLeast(99.0),
    );
    ratio(
        "percent fewer SELECTs while polling",
        saved(
            rate(with, with.reads().selects),
            rate(without, without.reads().selects),
        ),
        Goal::AtLeast(98.0),
    );
    ratio(
        "percent less time of a poll at the port, median",
        shorter(&with.polls.times, &without.polls.times),
        Goal::AtLeast(95.0),
    );
    ratio(
        "percent fewer reads of files while polling",
        saved(
            rate(with, with.all().files),
            rate(without, without.all().files),
        ),
        Goal::AtLeast(99.9),
    );
    let at_default = &polls[1];
    ratio(
        "percent of polls without a statement, default TTLs",
        at_default.polls.silent_estimate(),
        Goal::More,
    );
    part.raw[format!("polling, {backend}")] =
        json!(HOWS.iter().enumerate().map(|(at, how)| json!({
        "how": how.name(), "polls": raw(&polls[at].polls), "chatting": raw(&polls[at].chatting), "writes": raw(&polls[at].writes),
        "polls_over_http": raw(&wire[at].polls), "hits_percent": polls[at].hits,
    })).collect::<Vec<_>>());
}

fn show_answers(backend: &str, contexts: &[Rounds], engine: &[Engine], part: &mut Part) {
    let mut table = ByHow::new(&format!("answers, {backend}"));
    let mut row = |name: &str, of: &dyn Fn(usize) -> String| table.row(name, of);
    row("answers, each after one reading of its context", &|at| {
        contexts[at].contexts.times.len().to_string()
    });
    row("contexts that ran no statement", &|at| {
        percent(contexts[at].contexts.silent_percent())
    });
    row("SELECTs, for 1,000 contexts", &|at| {
        per_thousand(contexts[at].contexts.selects())
    });
    row("reads of files, for 1,000 contexts", &|at| {
        per_thousand(contexts[at].contexts.files())
    });
    row("before, until warm: SELECTs, and reads of files", &|at| {
        format!(
            "{}, {}",
            contexts[at].warming.selects, contexts[at].warming.files
        )
    });
    row("between operations: SELECTs, and reads of files", &|at| {
        format!(
            "{}, {}",
            contexts[at].besides.selects, contexts[at].besides.files
        )
    });
    row("context at the port, µs: p50, p95, p99", &|at| {
        latency(&contexts[at].contexts)
    });
    row("answers of the program, scripted", &|at| {
        engine[at].answers.to_string()
    });
    row("its SELECTs an answer", &|at| {
        format!("{:.2}", engine[at].per_answer(engine[at].count.selects))
    });
    row("its other statements an answer", &|at| {
        format!("{:.2}", engine[at].per_answer(engine[at].count.others))
    });
    row("its reads of files an answer", &|at| {
        format!("{:.2}", engine[at].per_answer(engine[at].count.files))
    });
    row("its time an answer, µs", &|at| {
        format!("{:.0}", engine[at].micros / number(engine[at].answers))
    });
    part.tables.push(table.0);
    part.tables.push(hit_rates(
        &format!("hits while answering, {backend}"),
        &engine[1].hits,
        &engine[2].hits,
    ));
    let [without, with] = [0, 2].map(|at| &contexts[at].contexts);
    let mut ratio = |name: &str, found, goal| {
        part.ratios
            .push(Ratio::new(format!("{backend}, {name}"), found, goal));
    };
    ratio(
        "percent of contexts without a statement",
        with.silent_estimate(),
        Goal::AtLeast(95.0),
    );
    ratio(
        "percent fewer SELECTs of contexts",
        saved(with.selects(), without.selects()),
        Goal::AtLeast(98.0),
    );
    ratio(
        "percent less time of a context at the port, median",
        shorter(&with.times, &without.times),
        Goal::AtLeast(95.0),
    );
    ratio(
        "percent fewer reads of files for contexts",
        saved(with.files(), without.files()),
        Goal::AtLeast(99.9),
    );
    let [without, with] = [0, 2].map(|at| Rate {
        events: engine[at].count.selects,
        of: engine[at].answers,
    });
    ratio(
        "percent fewer SELECTs of the program's answers",
        saved(with, without),
        Goal::AtLeast(98.0),
    );
    let [without, with] = [0, 2].map(|at| Rate {
        events: engine[at].count.files,
        of: engine[at].answers,
    });
    ratio(
        "percent fewer reads of files of the program's answers",
        saved(with, without),
        Goal::AtLeast(99.9),
    );
    part.raw[format!("answers, {backend}")] = json!(
        HOWS.iter()
            .enumerate()
            .map(|(at, how)| json!({
                "how": how.name(), "contexts": raw(&contexts[at].contexts), "appends": raw(&contexts[at].appends),
                "program": { "answers": engine[at].answers, "selects": engine[at].count.selects, "others": engine[at].count.others,
                    "file_reads": engine[at].count.files, "microseconds": engine[at].micros, "hits_percent": engine[at].hits },
            }))
            .collect::<Vec<_>>()
    );
}

fn show_personas(backend: &str, read: &[Personas], part: &mut Part) {
    let mut table = ByHow::new(&format!("configuration reads, {backend}"));
    let mut row = |name: &str, of: &dyn Fn(usize) -> String| table.row(name, of);
    row("reads", &|at| read[at].reads.times.len().to_string());
    row("reads that ran no statement", &|at| {
        percent(read[at].reads.silent_percent())
    });
    row("SELECTs, for 1,000 reads", &|at| {
        per_thousand(read[at].reads.selects())
    });
    row("reads of files, for 1,000 reads", &|at| {
        per_thousand(read[at].reads.files())
    });
    row("before, until warm: SELECTs, and reads of files", &|at| {
        format!("{}, {}", read[at].warming.selects, read[at].warming.files)
    });
    row("read at the port, µs: p50, p95, p99", &|at| {
        latency(&read[at].reads)
    });
    part.tables.push(table.0);
    part.tables.push(hit_rates(
        &format!("hits of configuration reads, {backend}"),
        &read[1].hits,
        &read[2].hits,
    ));
    let [without, with] = [0, 2].map(|at| &read[at].reads);
    let mut ratio = |name: &str, found, goal| {
        part.ratios
            .push(Ratio::new(format!("{backend}, {name}"), found, goal));
    };
    ratio(
        "percent fewer SELECTs of configurations",
        saved(with.selects(), without.selects()),
        Goal::AtLeast(98.0),
    );
    ratio(
        "percent less time of a configuration at the port, median",
        shorter(&with.times, &without.times),
        Goal::AtLeast(95.0),
    );
    ratio(
        "percent fewer reads of files for configurations",
        saved(with.files(), without.files()),
        Goal::AtLeast(99.9),
    );
    part.raw[format!("configuration reads, {backend}")] = json!(
        HOWS.iter()
            .enumerate()
            .map(|(at, how)| json!({ "how": how.name(), "reads": raw(&read[at].reads), "hits_percent": read[at].hits }))
            .collect::<Vec<_>>()
    );
}

fn hit_rates(title: &str, classic: &[(&str, f64, u64)], coherent: &[(&str, f64, u64)]) -> Table {
    let mut table = Table::new([title, HOWS[1].name(), HOWS[2].name()]);
    for (region, rate, asked) in classic {
        let other = coherent
            .iter()
            .find(|(name, ..)| name == region)
            .map_or(f64::NAN, |(_, rate, _)| *rate);
        table.row([
            format!("`{region}`, of {asked}"),
            percent(*rate),
            percent(other),
        ]);
    }
    table
}

/// Percentiles in the place of some ten thousand times.
fn raw(taken: &Taken) -> serde_json::Value {
    let [p50, p95, p99] = taken.percentiles();
    json!({ "operations": taken.times.len(), "without_a_statement": taken.silent, "selects": taken.count.selects,
        "other_statements": taken.count.others, "file_reads": taken.count.files, "mean_us": taken.mean(), "p50_us": p50, "p95_us": p95, "p99_us": p99 })
}
