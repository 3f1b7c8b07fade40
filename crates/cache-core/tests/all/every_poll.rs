//! Every public async function is dropped at each of its turns, and so is each task that runs for it: afterwards nothing is
//! left open or stuck, nothing old is read, and everything goes on.

mod stage;

use std::{sync::atomic::Ordering, time::Duration};

use cache_core::{Fault, ManualClock};

use crate::{
    support::TTL,
    turns::{Cut, Ran, Task, Turns, pause},
};
use stage::{ASIDE, End, KEYS, Stage, task};

/// Who reads meanwhile: a key, and after how many turns it begins.
const READERS: [(u64, usize); 4] = [(1, 0), (1, 1), (1, 2), (2, 3)];

/// A function of the cache, what runs beside it, and how it is called.
struct Case {
    name: &'static str,
    /// What was done before, once everything that is read was.
    before: fn(&Stage),
    /// What runs beside it, and has begun.
    beside: fn(&Stage) -> Vec<Task>,
    call: fn(Stage) -> Task,
}

fn nothing_before(_: &Stage) {}

fn nothing_beside(_: &Stage) -> Vec<Task> {
    Vec::new()
}

/// Row 1 and log 1 are in memory when a case begins, the others are not.
#[rustfmt::skip] // One case a line.
fn cases() -> Vec<Case> {
    let case = |name, beside, call| Case { name, before: nothing_before, beside, call };
    vec![
        case("Region::get_or_load", nothing_beside, |s| task(s.read(2))),
        case("Region::get_or_load, joining", |s| vec![task(s.clone().read(2))], |s| task(s.read(2))),
        case("Region::get_or_load, in a window", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.read(1))),
        case("Region::get_or_load, in a line", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(1))], |s| task(s.read(1))),
        case("Region::get_or_load, without a permit", |s| vec![task(s.clone().read(3)), task(s.clone().read_log(3))], |s| task(s.read(2))),
        case("Region::get_or_load_many", nothing_beside, |s| task(s.read_many())),
        case("Region::get_or_load_many, in windows", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(2))], |s| task(s.read_many())),
        case("Region::bypass", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.bypass(1))),
        case("TailRegion::get_or_fill", |s| vec![task(s.clone().append(2, End::Stores))], |s| task(s.read_log(2))),
        case("TailRegion::get_or_fill, in a window", |s| vec![task(s.clone().append(1, End::IsLost))], |s| task(s.read_log(2))),
        case("TailRegion::get_or_fill_many", |s| vec![task(s.clone().append(3, End::Stores))], |s| task(s.read_logs())),
        case("WriteGuard::run, storing", nothing_beside, |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, storing nothing", |s| vec![task(s.clone().read(2))], |s| task(s.write(2, End::StoresNothing))),
        case("WriteGuard::run, contended", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, without a permit", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().write(2, End::Stores))], |s| task(s.write(1, End::Stores))),
        case("WriteGuard::run, refused", nothing_beside, |s| task(s.write(1, End::IsRefused))),
        case("WriteGuard::run, of unknown outcome", nothing_beside, |s| task(s.write(1, End::IsLost))),
        case("WriteGuard::run, over regions and creates", |s| vec![task(s.clone().read_other(2))], |s| task(s.write_widely(End::StoresNothing))),
        case("WriteGuard::run, over regions, of unknown outcome", |s| vec![task(s.clone().read_other(1))], |s| task(s.write_widely(End::IsLost))),
        case("WriteGuard::run, appending", nothing_beside, |s| task(s.append(1, End::Stores))),
        case("WriteGuard::run, appending during a fill", |s| vec![task(s.clone().read_log(2))], |s| task(s.append(2, End::Stores))),
        case("WriteGuard::run, appending what it cannot name", nothing_beside, |s| task(s.append(1, End::CannotTell))),
        case("WriteGuard::run, appending, of unknown outcome", nothing_beside, |s| task(s.append(1, End::IsLost))),
        case("Manager::settle", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().write(2, End::IsLost))], |s| task(async move {
            s.manager.settle().await.expect("it settles");
            *s.source.sealed.lock().unwrap() = Some(s.source.commits.load(Ordering::SeqCst));
        })),
        Case {
            name: "Manager::cleanup",
            before: |s| {
                (1_000..6_000).for_each(|key| assert!(s.numbers.insert(key, 1)));
                s.hand.advance(TTL);
            },
            beside: nothing_beside,
            call: |s| task(async move { s.manager.cleanup().await }),
        },
        case("Manager::shutdown", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().read(2))], |s| task(async move {
            assert!(s.manager.shutdown(Duration::from_secs(1)).await, "all has ended");
        })),
        case("Listener::rung", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(async move { s.numbers.listen(1).rung().await })),
        case("Clock::sleep", |s| vec![task(advance(s.hand.clone()))], |s| task(async move { s.manager.clock().sleep(Duration::from_secs(1)).await })),
    ]
}

async fn advance(hand: ManualClock) {
    for _ in 0..4 {
        pause().await;
    }
    hand.advance(Duration::from_secs(1));
}

/// Runs a case, alone or among readers, and cuts it. What it was, and what went wrong.
fn run(case: &Case, cut: Cut, among_readers: bool, fault: Fault) -> Result<Ran, String> {
    let mut turns = Turns::default();
    let stage = Stage::new(&turns, fault);
    turns.run(task(stage.clone().read(1)));
    turns.run(task(stage.clone().read_log(1)));
    (case.before)(&stage);
    turns.mark();
    for beside in (case.beside)(&stage) {
        turns.add(beside);
    }
    // What runs beside it takes its permits and opens its windows.
    turns.round();
    turns.round();
    let caller = turns.add((case.call)(stage.clone()));
    if among_readers {
        for (key, from) in READERS {
            turns.add(stage.clone().keep_reading(key, from));
        }
    }
    let ran = turns.run_cut(caller, cut);
    if stage
        .source
        .sealed
        .lock()
        .unwrap()
        .is_some_and(|sealed| sealed != stage.source.commits.load(Ordering::SeqCst))
    {
        return Err("a write landed after settling had returned".to_owned());
    }
    if !matches!(cut, Cut::Spawned { .. }) && stage.source.given_up.load(Ordering::SeqCst) > 0 {
        return Err("something was given up, and no task was dropped".to_owned());
    }
    let unknown = || {
        stage
            .manager
            .stats()
            .iter()
            .any(|(.., stats)| stats.unknown_windows > 0)
    };
    if matches!(cut, Cut::Spawned { .. }) && unknown() {
        // It was the task that settles: the next lost write begins another.
        turns.run(stage.clone().write(ASIDE, End::IsLost));
    }
    let at_rest = || {
        let stuck = turns.unfinished();
        if stuck > 0 {
            return Err(format!("{stuck} tasks are stuck"));
        }
        stage.manager.validate()?;
        if !stage.manager.is_quiet() || unknown() {
            return Err("something is left in progress".to_owned());
        }
        if KEYS.iter().any(|key| stage.numbers.listeners(key) > 0) {
            return Err("a listener is left".to_owned());
        }
        Ok(())
    };
    at_rest()?;
    turns.run(stage.clone().at_rest());
    for one in stage.all_at_once() {
        turns.add(one);
    }
    turns.settle();
    stage
        .source
        .wrong
        .lock()
        .unwrap()
        .take()
        .map_or(Ok(ran), Err)
}

/// Every way to cut a run that was `ran` when it was not cut.
fn cuts(ran: &Ran) -> impl Iterator<Item = Cut> + '_ {
    let callers = (0..ran.rounds).map(|round| Cut::Caller { round });
    let of =
        |(task, polls): (usize, &usize)| (0..*polls).map(move |polls| Cut::Spawned { task, polls });
    callers.chain(ran.spawned.iter().enumerate().flat_map(of))
}

/// Runs the cases with every cut. How many runs there were; the first that went wrong.
fn run_all(cases: &[Case], fault: Fault) -> Result<usize, String> {
    let mut runs = 0;
    for case in cases {
        for among_readers in [false, true] {
            let wrong = |cut: Cut, what: String| {
                format!("{}, readers: {among_readers}, {cut:?}: {what}", case.name)
            };
            let ran = run(case, Cut::Nowhere, among_readers, fault)
                .map_err(|what| wrong(Cut::Nowhere, what))?;
            assert!(
                ran.polls >= 2,
                "{} took {} polls: nothing is dropped between them",
                case.name,
                ran.polls
            );
            for cut in cuts(&ran) {
                run(case, cut, among_readers, fault).map_err(|what| wrong(cut, what))?;
                runs += 1;
            }
            if !among_readers {
                let tasks: usize = ran.spawned.iter().sum();
                println!(
                    "{}: {} polls in {} rounds; {} tasks: {tasks} polls",
                    case.name,
                    ran.polls,
                    ran.rounds,
                    ran.spawned.len()
                );
            }
        }
    }
    Ok(runs)
}

#[test]
fn whatever_is_dropped_at_whichever_poll_nothing_is_left_open_stuck_or_old() {
    match run_all(&cases(), Fault::None) {
        Ok(runs) => println!("{runs} runs, each dropped at another poll"),
        Err(wrong) => panic!("{wrong}"),
    }
}

#[test]
fn every_public_async_function_of_the_crate_is_among_the_cases() {
    let (mut functions, mut paths) = (
        Vec::new(),
        vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        ))],
    );
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let lines = source.lines().map(str::trim);
        let named = lines.filter_map(|line| line.strip_prefix("pub async fn "));
        functions.extend(named.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
    }
    assert!(functions.len() > 8, "{functions:?}");
    // Not an `async fn`, and a future all the same.
    functions.push("sleep".to_owned());
    let cases = cases();
    for function in functions {
        let end = format!("::{function}");
        assert!(
            cases
                .iter()
                .any(|case| case.name.split(',').next().unwrap().ends_with(&end)),
            "{function} is never dropped"
        );
    }
}

#[cfg(feature = "faults")]
#[test]
fn windows_that_go_away_with_their_caller_are_found() {
    // One that goes wrong in no run that is not cut.
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.name == "WriteGuard::run, storing")
        .collect();
    let wrong = run_all(&cases, Fault::CallerOwnsGuard).expect_err("the fault is found");
    assert!(
        wrong.contains("Caller {") && wrong.contains("gave 1"),
        "{wrong}"
    );
}
