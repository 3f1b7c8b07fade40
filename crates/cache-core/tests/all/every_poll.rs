//! Every public async function is dropped before each of its polls, and so is each task that it
//! spawned. Afterwards nothing is left open or stuck, no old value is read, and everything goes on.

mod fixture;

use std::{sync::atomic::Ordering, time::Duration};

use cache_core::ManualClock;
use testkit::executor::{Cut, Executor, RunLength, Task, yield_once};

use crate::support::{Fault, TTL};
use fixture::{END_TEST_ROW, End, KEYS, PollFixture, task};

/// The keys of the readers that run beside a case, and the number of polls before they begin.
const READERS: [(u64, usize); 4] = [(1, 0), (1, 1), (1, 2), (2, 3)];

/// A call of a function of the cache, and what runs beside it.
struct Case {
    name: &'static str,
    /// Runs before the case, once row 1 and log 1 are in memory.
    before: fn(&PollFixture),
    /// Returns tasks that run beside the call, and begin before it.
    beside: fn(&PollFixture) -> Vec<Task>,
    call: fn(PollFixture) -> Task,
}

fn nothing_before(_: &PollFixture) {}

fn nothing_beside(_: &PollFixture) -> Vec<Task> {
    Vec::new()
}

/// Returns the cases. Row 1 and log 1 are in memory when a case begins, the others are not.
#[rustfmt::skip] // One case a line.
fn cases() -> Vec<Case> {
    let case = |name, beside, call| Case { name, before: nothing_before, beside, call };
    vec![
        case("Region::get_or_load", nothing_beside, |s| task(s.read(2))),
        case("Region::get_or_load, joining", |s| vec![task(s.clone().read(2))], |s| task(s.read(2))),
        case("Region::get_or_load, in a window", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.read(1))),
        case("Region::get_or_load, in a queue", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(1))], |s| task(s.read(1))),
        case("Region::get_or_load, without a permit", |s| vec![task(s.clone().read(3)), task(s.clone().read_log(3))], |s| task(s.read(2))),
        case("Region::get_or_load_many", nothing_beside, |s| task(s.read_many())),
        case("Region::get_or_load_many, in windows", |s| vec![task(s.clone().write(1, End::IsLost)), task(s.clone().read(2))], |s| task(s.read_many())),
        case("Region::load_after_miss", nothing_beside, |s| task(s.read_after_miss(2))),
        case("Region::bypass", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(s.bypass(1))),
        case("TailRegion::get_or_fill", |s| vec![task(s.clone().append(2, End::Stores))], |s| task(s.read_log(2))),
        case("TailRegion::get_or_fill, in a window", |s| vec![task(s.clone().append(1, End::IsLost))], |s| task(s.read_log(2))),
        case("TailRegion::fill_after_miss", |s| vec![task(s.clone().append(2, End::Stores))], |s| task(s.read_log_after_miss(2))),
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
        case("WriteGuard::run, appending, panicking while naming", nothing_beside, |s| task(s.append(1, End::PanicsNaming))),
        case("WriteGuard::run, appending, of unknown outcome", nothing_beside, |s| task(s.append(1, End::IsLost))),
        case("Manager::settle", |s| vec![task(s.clone().write(1, End::Stores)), task(s.clone().write(2, End::IsLost))], |s| task(async move {
            s.manager.settle().await.expect("settling failed");
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
            assert!(s.manager.shutdown(Duration::from_secs(1)).await, "something has not ended");
        })),
        case("Listener::rung", |s| vec![task(s.clone().write(1, End::Stores))], |s| task(async move { s.numbers.listen(1).rung().await })),
        case("Clock::sleep", |s| vec![task(advance(s.hand.clone()))], |s| task(async move { s.manager.clock().sleep(Duration::from_secs(1)).await })),
    ]
}

async fn advance(hand: ManualClock) {
    for _ in 0..4 {
        yield_once().await;
    }
    hand.advance(Duration::from_secs(1));
}

/// Runs a case, alone or among readers, with a cut. Returns the length of the run, or what went wrong.
fn run(case: &Case, cut: Cut, among_readers: bool, fault: Fault) -> Result<RunLength, String> {
    let mut executor = Executor::default();
    let fixture = PollFixture::new(&executor, fault);
    executor.run(task(fixture.clone().read(1)));
    executor.run(task(fixture.clone().read_log(1)));
    (case.before)(&fixture);
    executor.mark();
    for beside in (case.beside)(&fixture) {
        executor.add(beside);
    }
    // The tasks beside it take their permits and open their windows.
    executor.round();
    executor.round();
    let caller = executor.add((case.call)(fixture.clone()));
    if among_readers {
        for (key, from) in READERS {
            executor.add(fixture.clone().keep_reading(key, from));
        }
    }
    let length = executor.run_cut(caller, cut);
    if fixture
        .source
        .sealed
        .lock()
        .unwrap()
        .is_some_and(|sealed| sealed != fixture.source.commits.load(Ordering::SeqCst))
    {
        return Err("a write landed after settling had returned".to_owned());
    }
    if !matches!(cut, Cut::Spawned { .. }) && fixture.source.given_up.load(Ordering::SeqCst) > 0 {
        return Err("something was given up although no task was dropped".to_owned());
    }
    let unknown = || {
        fixture
            .manager
            .stats()
            .iter()
            .any(|(.., stats)| stats.unknown_windows > 0)
    };
    if matches!(cut, Cut::Spawned { .. }) && unknown() {
        // The task that settles was dropped: the next lost write starts another.
        executor.run(fixture.clone().write(END_TEST_ROW, End::IsLost));
    }
    let check_idle = || {
        let stuck = executor.unfinished();
        if stuck > 0 {
            return Err(format!("{stuck} tasks are stuck"));
        }
        #[cfg(feature = "internals")]
        fixture.manager.validate()?;
        #[cfg(feature = "internals")]
        if !fixture.manager.is_quiet() {
            return Err("something is left in progress".to_owned());
        }
        if unknown() {
            return Err("a window of unknown outcome is left".to_owned());
        }
        if KEYS.iter().any(|key| fixture.numbers.listeners(key) > 0) {
            return Err("a listener is left".to_owned());
        }
        Ok(())
    };
    check_idle()?;
    executor.run(fixture.clone().at_rest());
    for task in fixture.use_all_permits() {
        executor.add(task);
    }
    executor.run_until_idle();
    fixture
        .source
        .wrong
        .lock()
        .unwrap()
        .take()
        .map_or(Ok(length), Err)
}

/// Returns every cut of a run of this length.
fn cuts(length: &RunLength) -> impl Iterator<Item = Cut> + '_ {
    let callers = (0..length.rounds).map(|round| Cut::Caller { round });
    let of_task =
        |(task, polls): (usize, &usize)| (0..*polls).map(move |polls| Cut::Spawned { task, polls });
    callers.chain(length.spawned.iter().enumerate().flat_map(of_task))
}

/// Runs the cases with every cut. Returns the number of runs, or the first that went wrong.
fn run_all(cases: &[Case], fault: Fault) -> Result<usize, String> {
    let mut runs = 0;
    for case in cases {
        for among_readers in [false, true] {
            let wrong = |cut: Cut, what: String| {
                format!("{}, readers: {among_readers}, {cut:?}: {what}", case.name)
            };
            let length = run(case, Cut::Nowhere, among_readers, fault)
                .map_err(|what| wrong(Cut::Nowhere, what))?;
            assert!(
                length.polls >= 2,
                "{} took {} polls: it cannot be dropped between them",
                case.name,
                length.polls
            );
            for cut in cuts(&length) {
                run(case, cut, among_readers, fault).map_err(|what| wrong(cut, what))?;
                runs += 1;
            }
            if !among_readers {
                let tasks: usize = length.spawned.iter().sum();
                println!(
                    "{}: {} polls in {} rounds; {} tasks: {tasks} polls",
                    case.name,
                    length.polls,
                    length.rounds,
                    length.spawned.len()
                );
            }
        }
    }
    Ok(runs)
}

#[test]
fn a_caller_or_task_dropped_at_any_poll_leaves_nothing_open_stuck_or_old() {
    match run_all(&cases(), Fault::None) {
        Ok(runs) => println!("{runs} runs, each cut at another poll"),
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
    // Not an `async fn`, but it returns a future.
    functions.push("sleep".to_owned());
    let cases = cases();
    for function in functions {
        let end = format!("::{function}");
        assert!(
            cases
                .iter()
                .any(|case| case.name.split(',').next().unwrap().ends_with(&end)),
            "no case calls {function}"
        );
    }
}

#[cfg(feature = "faults")]
#[test]
fn windows_that_are_dropped_with_their_caller_are_found() {
    // With the fault, this case goes wrong only in runs that are cut.
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.name == "WriteGuard::run, storing")
        .collect();
    let wrong = run_all(&cases, Fault::CallerOwnsGuard).expect_err("the fault was not found");
    assert!(
        wrong.contains("Caller {") && wrong.contains("returned 1"),
        "{wrong}"
    );
}
