//! Every public async function is dropped before each of its polls, and so is each task that it
//! spawned. Afterwards nothing is left open or stuck, no old value is read, and everything goes on.

mod fixture;

use std::sync::atomic::Ordering;

use testkit::executor::{Cut, Executor, RunLength};

use crate::support::Fault;
use fixture::{
    Call::{
        self, AdvanceClock, Append, Bypass, BypassMany, Cleanup, Listen, Read, ReadAfterMiss,
        ReadEntries, ReadLog, ReadLogAfterMiss, ReadLogs, ReadMany, ReadOther, ReadTagged, Request,
        Settle, Shutdown, Sleep, Upsert, Write, WriteTagged, WriteWhere, WriteWidely,
    },
    END_TEST_ROW,
    End::{IsLost, IsRefused, PanicsNaming, Stores, StoresNothing},
    KEYS, PollFixture, task,
};

/// The keys of the readers that run beside a case, and the number of polls before they begin.
const READERS: [(u64, usize); 4] = [(1, 0), (1, 1), (1, 2), (2, 3)];

/// A call of a function of the cache, and the calls that run beside it and begin before it.
struct Case {
    name: &'static str,
    beside: &'static [Call],
    call: Call,
}

const fn case(name: &'static str, beside: &'static [Call], call: Call) -> Case {
    Case { name, beside, call }
}

/// The cases. Row 1 and log 1 are in memory when a case begins, the others are not.
const CASES: [Case; 39] = [
    case("Region::get_or_load", &[], Read(2)),
    case("Region::get_or_load, joining", &[Read(2)], Read(2)),
    case(
        "Region::get_or_load, in a window",
        &[Write(1, Stores)],
        Read(1),
    ),
    case(
        "Region::get_or_load, in a queue",
        &[Write(1, IsLost), Read(1)],
        Read(1),
    ),
    case(
        "Region::get_or_load, without a permit",
        &[Read(3), ReadLog(3)],
        Read(2),
    ),
    case("Region::load_after_miss", &[], ReadAfterMiss(2)),
    case("Region::get_or_load_many", &[], ReadMany),
    case(
        "Region::get_or_load_many, in windows",
        &[Write(1, IsLost), Read(2)],
        ReadMany,
    ),
    case("Region::get_or_load_entries", &[], ReadEntries),
    case("Request::load", &[AdvanceClock], Request(2)),
    case("Request::load_entry", &[], ReadTagged(2)),
    case(
        "Request::load_entry, with a tag that is written",
        &[WriteTagged(IsLost)],
        ReadTagged(2),
    ),
    case("Manager::upsert", &[Upsert(1)], Upsert(1)),
    case(
        "WriteGuard::run, over a tag",
        &[ReadTagged(1)],
        WriteTagged(Stores),
    ),
    case("Region::bypass", &[Write(1, Stores)], Bypass(1)),
    case("Region::bypass_many", &[Write(1, Stores)], BypassMany),
    case("TailRegion::get_or_fill", &[Append(2, Stores)], ReadLog(2)),
    case(
        "TailRegion::get_or_fill, in a window",
        &[Append(1, IsLost)],
        ReadLog(2),
    ),
    case(
        "TailRegion::fill_after_miss",
        &[Append(2, Stores)],
        ReadLogAfterMiss(2),
    ),
    case(
        "TailRegion::get_or_fill_many",
        &[Append(3, Stores)],
        ReadLogs,
    ),
    case("WriteGuard::run, storing", &[], Write(1, Stores)),
    case(
        "WriteGuard::run, storing nothing",
        &[Read(2)],
        Write(2, StoresNothing),
    ),
    case(
        "WriteGuard::run, contended",
        &[Write(1, Stores)],
        Write(1, Stores),
    ),
    case(
        "WriteGuard::run, without a permit",
        &BOTH_PERMITS,
        Write(1, Stores),
    ),
    case("WriteGuard::run, refused", &[], Write(1, IsRefused)),
    case("WriteGuard::run, of unknown outcome", &[], Write(1, IsLost)),
    case(
        "WriteGuard::run, over regions",
        &[ReadOther(2)],
        WriteWidely(StoresNothing),
    ),
    case(
        "WriteGuard::run, over regions, lost",
        &[ReadOther(1)],
        WriteWidely(IsLost),
    ),
    case(
        "WriteGuard::run, over keys that are not listed",
        &[Read(2)],
        WriteWhere(StoresNothing),
    ),
    case(
        "WriteGuard::run, over keys that are not listed, lost",
        &[Read(1)],
        WriteWhere(IsLost),
    ),
    case("WriteGuard::run, appending", &[], Append(1, Stores)),
    case(
        "WriteGuard::run, appending during a fill",
        &[ReadLog(2)],
        Append(2, Stores),
    ),
    case(
        "WriteGuard::run, appending without an entry",
        &[],
        Append(1, PanicsNaming),
    ),
    case("WriteGuard::run, appending, lost", &[], Append(1, IsLost)),
    case(
        "Manager::settle",
        &[Write(1, Stores), Write(2, IsLost)],
        Settle,
    ),
    case("Manager::cleanup", &[], Cleanup),
    case("Manager::shutdown", &[Write(1, Stores), Read(2)], Shutdown),
    case("Listener::rung", &[Write(1, Stores)], Listen(1)),
    case("Clock::sleep", &[AdvanceClock], Sleep),
];

const BOTH_PERMITS: [Call; 2] = [Write(1, Stores), Write(2, Stores)];

/// Runs a case, alone or among readers. `cut` selects the task to drop, and the poll before which
/// it is dropped. Returns the length of the run, or a description of the failure.
fn run(case: &Case, cut: Cut, among_readers: bool, fault: Fault) -> Result<RunLength, String> {
    let mut executor = Executor::default();
    let fixture = PollFixture::new(&executor, fault);
    executor.run(task(fixture.clone().read(1)));
    executor.run(task(fixture.clone().read_log(1)));
    if matches!(case.call, Cleanup) {
        fixture.fill_with_expired();
    }
    executor.mark();
    for call in case.beside {
        executor.add(fixture.clone().task(*call));
    }
    // The tasks beside it take their permits and open their windows.
    executor.round();
    executor.round();
    let caller = executor.add(fixture.clone().task(case.call));
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
            .any(|region| region.stats.unknown_windows + region.stats.unknown_creates > 0)
    };
    if matches!(cut, Cut::Spawned { .. }) && unknown() {
        // The task that settles was dropped: the next lost write starts another.
        executor.run(fixture.clone().write(END_TEST_ROW, IsLost));
    }
    let check_idle = || {
        let stuck = executor.unfinished();
        if stuck > 0 {
            return Err(format!("{stuck} tasks are stuck"));
        }
        #[cfg(feature = "internals")]
        fixture
            .manager
            .validate()
            .map_err(|wrong| wrong.to_string())?;
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
    match run_all(&CASES, Fault::None) {
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
    for function in functions {
        let end = format!("::{function}");
        assert!(
            CASES
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
    let storing = CASES
        .into_iter()
        .find(|case| case.name == "WriteGuard::run, storing")
        .expect("the case exists");
    let storing = &[storing];
    let wrong = run_all(storing, Fault::CallerOwnsGuard).expect_err("the fault was not found");
    assert!(
        wrong.contains("Caller {") && wrong.contains("returned 1"),
        "{wrong}"
    );
}
