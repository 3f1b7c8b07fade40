//! Panics in user code: its loaders, writes, weighers and closures, and the code of its keys,
//! values and logs. No caller hangs, no window stays open, and the key works again.

mod operation;
mod trap;
mod world;

use std::{
    convert::Infallible,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{LoadError, Policy, SettleError, Source, Unknown, WriteError, Written};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

use self::{
    operation::Operation,
    trap::{Code, PLANTED},
    world::{LOGS, World},
};
use crate::support::*;

/// Runs an operation beside readers, while call number `call` of `code` panics. Returns `false` if
/// there were fewer calls, or what went wrong.
async fn survives(operation: Operation, code: Code, call: usize) -> Result<bool, String> {
    let world = World::new().await;
    let survived = survives_in(&world, operation, code, call).await;
    if survived.is_err() {
        // Its fixture would fail the test before the other calls are tried.
        std::mem::forget(world);
    }
    survived
}

async fn survives_in(
    world: &Arc<World>,
    operation: Operation,
    code: Code,
    call: usize,
) -> Result<bool, String> {
    world.trap.arm(code, call);
    let reader = |number| tokio::spawn(world.clone().read_both(number));
    let tasks: Vec<JoinHandle<()>> = vec![
        reader(3),
        tokio::spawn(world.clone().run(operation)),
        reader(1),
        reader(2),
        reader(3),
    ];
    run_tasks().await;
    let has_panicked = !world.trap.disarm();
    for task in tasks {
        if !task.is_finished() {
            return Err("a task hangs".to_owned());
        }
        if let Err(error) = task.await
            && error.into_panic().downcast_ref() != Some(&PLANTED)
        {
            return Err("a task failed".to_owned());
        }
    }
    // A window that panics have kept open is closed by the next settling.
    let settled = tokio::time::timeout(PATIENCE, world.cache.manager.settle()).await;
    if !matches!(settled, Ok(Ok(()))) {
        return Err(format!("settling returned {settled:?}"));
    }
    run_tasks().await;
    // It may have panicked while it was switched off.
    world.cache.manager.set_all_enabled(true);
    for region in world.cache.manager.stats() {
        let stats = region.stats;
        let open = [stats.open_windows, stats.open_creates];
        let unknown = [stats.unknown_windows, stats.unknown_creates];
        if (open, unknown) != ([0; 2], [0; 2]) {
            return Err(format!("{} has windows: {open:?} {unknown:?}", region.name));
        }
    }
    for number in [1, 2, 3, 4, 5].repeat(2) {
        let reads = [world.read(number).await, world.read_log(number).await];
        let source = [world.version(number), world.log_version(number)];
        if !reads
            .iter()
            .zip(source)
            .all(|(read, version)| matches!(read, Ok(read) if *read == version))
        {
            return Err(format!("key {number} returned {reads:?}, not {source:?}"));
        }
    }
    if world.in_memory() != [Some(world.version(1)), Some(world.log_version(1))] {
        return Err(format!("in memory are {:?}", world.in_memory()));
    }
    #[cfg(feature = "internals")]
    if !world.cache.manager.is_quiet() {
        return Err("something is left in progress".to_owned());
    }
    #[cfg(feature = "internals")]
    world
        .cache
        .manager
        .validate()
        .map_err(|wrong| wrong.to_string())?;
    Ok(has_panicked)
}

/// Runs each operation once for each call of each code that it makes, and lets that call panic.
async fn survive_all(operations: &[Operation]) {
    let (mut panics, mut wrong) = (0, Vec::new());
    for operation in operations {
        for code in Code::ALL {
            if (*operation, code) == (Operation::Evict, Code::HashKey) {
                // `quick_cache` hashes the key that it evicts while the entry is half removed.
                continue;
            }
            for call in 0.. {
                match survives(*operation, code, call).await {
                    Ok(true) => panics += 1,
                    Ok(false) => break,
                    Err(what) => wrong.push(format!(
                        "{operation:?} while call {call} of {code:?} panics: {what}"
                    )),
                }
            }
        }
    }
    println!("{panics} panics, each at another call");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(panics > 100 * operations.len(), "only {panics} panics");
}

#[tokio::test]
async fn a_panic_at_any_call_of_a_read_leaves_nothing_open_stuck_or_old() {
    survive_all(&Operation::READS).await;
}

#[tokio::test]
async fn a_panic_at_any_call_of_a_change_leaves_nothing_open_stuck_or_old() {
    survive_all(&Operation::CHANGES).await;
}

#[tokio::test]
async fn a_panic_at_any_call_of_a_write_leaves_nothing_open_stuck_or_old() {
    survive_all(&Operation::WRITES).await;
}

/// Weighs numbers, but not 13.
fn superstitious(cache: &Fixture) -> Numbers {
    let weigher = |_: &u64, value: &u64| {
        if *value == 13 {
            resume_unwind(Box::new(PLANTED));
        }
        1
    };
    cache
        .manager
        .region_builder("superstitious", Policy::new(TTL, 100))
        .weigher(1, weigher)
        .build()
}

#[tokio::test]
async fn a_weigher_that_panics_fails_its_key_alone() {
    let cache = fixture();
    let numbers = superstitious(&cache);
    let load = |_| async { Ok::<_, Infallible>(vec![(1, 13), (2, 20)]) };
    let batch = numbers.get_or_load_many(&[1, 2], load).await;
    assert!(matches!(batch, Err(LoadError::Panicked)));
    assert_eq!((numbers.get(&1), numbers.get(&2)), (None, Some(20)));
    for _ in 0..2 {
        let read = numbers.get_or_load(1, returns(13)).await;
        assert!(matches!(read, Err(LoadError::Panicked)));
    }
    let read = numbers.get_or_load(1, returns(14));
    assert_eq!(value_and_source(read).await, (Some(14), Source::Loaded));
    assert_eq!(numbers.get(&1), Some(14));
}

#[tokio::test]
async fn a_written_row_that_cannot_be_weighed_is_not_stored_and_its_window_closes() {
    // Nothing is ever settled here.
    let cache = fixture();
    let numbers = superstitious(&cache);
    let guard = cache.manager.guard();
    let guard = guard
        .key_storing(&numbers, 1, |row| Some(*row))
        .key(&numbers, 2);
    assert_eq!(guard.run(commits(13)).await, Ok(13));
    let stats = numbers.stats();
    assert_eq!(
        (stats.open_windows, stats.unknown_windows, stats.size),
        (0, 0, 0)
    );
    assert!(numbers.insert(1, 14) && numbers.insert(2, 20));
}

#[tokio::test]
async fn a_fold_that_panics_loses_the_copy_and_not_the_write() {
    for code in [Code::Apply, Code::Weight, Code::CloneEntry] {
        let world = World::new().await;
        world.trap.arm(code, 0);
        let guard = world.cache.manager.guard();
        let guard = guard
            .append(&world.logs, world.key(1), world.entry())
            .key(&world.rows, world.key(1));
        let write = world.clone().write(LOGS + 1, Written::Committed);
        assert_eq!(guard.run(write).await, Ok(2), "{code:?}");
        assert!(!world.trap.disarm(), "{code:?}");
        assert_eq!(world.in_memory(), [None, None], "{code:?}");
        let windows = |stats: cache_core::Stats| stats.open_windows;
        let open = (
            windows(world.rows.stats()),
            windows(world.logs.region().stats()),
        );
        assert_eq!(open, (0, 0), "{code:?}");
        assert_eq!(world.read_log(1).await.ok(), Some(2), "{code:?}");
        assert_eq!(world.in_memory()[1], Some(2), "{code:?}");
    }
}

#[tokio::test]
async fn a_fill_whose_copy_cannot_be_weighed_is_an_error() {
    let world = World::new().await;
    world.trap.arm(Code::Weight, 0);
    let filled = world.read_log(2).await;
    assert!(matches!(filled, Err(LoadError::Panicked)));
    assert_eq!(world.read_log(2).await.ok(), Some(1));
}

#[tokio::test]
async fn a_value_that_cannot_be_cloned_fails_the_load_that_would_store_it() {
    let world = World::new().await;
    world.trap.arm(Code::CloneValue, 0);
    let read = world.read(3).await;
    assert!(matches!(read, Err(LoadError::Panicked)));
    assert_eq!(world.read(3).await.ok(), Some(1));
}

#[tokio::test]
async fn a_write_whose_windows_cannot_be_opened_does_not_run() {
    for code in [
        Code::DropValue,
        Code::HashKey,
        Code::CloneKey,
        Code::CompareKey,
    ] {
        let world = World::new().await;
        let guard = world.cache.manager.guard();
        let guard = guard
            .key(&world.rows, world.key(2))
            .key(&world.rows, world.key(1));
        world.trap.arm(code, 0);
        let write = async { panic!("the write was run") as Written<u64, Down> };
        let refused = guard.run(write).await;
        assert_eq!(refused, Err(WriteError::NotBegun), "{code:?}");
        assert!(!world.trap.disarm(), "{code:?}");
        let stats = world.rows.stats();
        assert_eq!(
            (stats.open_windows, stats.unknown_windows),
            (0, 0),
            "{code:?}"
        );
        for number in [1, 2] {
            assert_eq!(world.read(number).await.ok(), Some(1), "{code:?}");
            assert!(world.rows.look_up(&world.key(number)).is_some(), "{code:?}");
        }
    }
}

#[tokio::test]
async fn a_window_that_panics_keep_open_is_closed_when_they_end() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, (mut settling, pass)) = (calls.clone(), gate());
    let opened = pass.wait().shared();
    let world = World::with(Unknown::settled_by(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        opened.clone().map(Ok)
    }))
    .await;
    let guard = world.cache.manager.guard().key(&world.rows, world.key(1));
    guard.run(unknown_outcome()).await.unwrap_err();
    settling.begun().await;
    world.trap.arm_for_good(Code::HashKey);
    settling.open();
    run_tasks().await;
    assert_eq!(world.rows.stats().unknown_windows, 1);
    assert_eq!(
        calls.load(Ordering::SeqCst),
        1,
        "no pause before the next attempt"
    );
    let settled = world.cache.manager.settle().await;
    assert!(matches!(settled, Err(SettleError::Panicked)));
    world.trap.disarm();
    world.cache.hand.advance(Duration::from_secs(1));
    run_tasks().await;
    assert_eq!(world.rows.stats().open_windows, 0);
    assert_eq!(world.read(1).await.ok(), Some(1));
    assert_eq!(world.in_memory()[0], Some(1));
}
