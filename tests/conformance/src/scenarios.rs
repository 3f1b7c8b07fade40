//! The scenarios. Each begins with an empty cache on an empty store. In their texts, `read` and
//! `write` are the operations of the adapter.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{
    future::{BoxFuture, FutureExt, join_all},
    poll,
};
use tokio::time::timeout;

use crate::{
    case::{Case, Observed, Reader, Stop},
    peers::{HEAVY, NoSuchOperation, UNLUCKY},
    store::{PATIENCE, ReadError},
};

/// A TTL that is longer than any scenario.
const LONG: Duration = Duration::from_hours(1);
/// A TTL for scenarios with expiry. It is short, because some caches read the system's clock and
/// the scenario must wait. It is long compared with the steps after the wait.
const SHORT: Duration = Duration::from_millis(400);

/// A scenario, which is one row of the table.
pub struct Scenario {
    /// The name of the scenario, which is the heading of its row.
    pub name: &'static str,
    /// The events, told in sentences.
    pub story: &'static str,
    /// The behavior that is expected of a coherent cache.
    pub expectation: &'static str,
    /// The TTL of the cache.
    pub ttl: Duration,
    /// Runs the scenario and returns the observations.
    pub run: for<'a> fn(&'a Case) -> BoxFuture<'a, Result<Observed, Stop>>,
}

/// All scenarios, in the order of the table.
pub const SCENARIOS: [Scenario; 15] = [
    Scenario {
        name: "load overtaken by an invalidation",
        story: "The row is 1. A load reads it and is held. The row is written as 2 and its key \
                invalidated; the write is acknowledged. The load ends. Then the key is read.",
        expectation: "The last read sees 2.",
        ttl: LONG,
        run: |case| load_overtaken_by_an_invalidation(case).boxed(),
    },
    Scenario {
        name: "reader after the invalidation",
        story: "As before, but the read begins while the load is still held, after the write was \
                acknowledged. Then the load ends.",
        expectation: "The reader sees 2: it does not join the load that began before the write.",
        ttl: LONG,
        run: |case| reader_after_the_invalidation(case).boxed(),
    },
    Scenario {
        name: "failing load with 10 waiters",
        story: "Ten readers of one missing key begin; the first load is held. The store fails from \
                the start; the load is released.",
        expectation: "All ten receive the failure of one load: a failing store is not asked ten \
                      times, neither at once nor in a row.",
        ttl: LONG,
        run: |case| failing_load_with_ten_waiters(case).boxed(),
    },
    Scenario {
        name: "cancelled leader",
        story: "A reader's load is held, a second reader of the key begins, and the first reader's \
                future is dropped.",
        expectation: "The second reader gets an answer.",
        ttl: LONG,
        run: |case| cancelled_leader(case).boxed(),
    },
    Scenario {
        name: "leader never polled again",
        story: "As before, but the first reader's future is kept and never polled again, as by a \
                `select!` that is busy elsewhere. The load is released, and then the second reader \
                begins.",
        expectation: "The second reader gets an answer.",
        ttl: LONG,
        run: |case| leader_never_polled_again(case).boxed(),
    },
    Scenario {
        name: "cancelled writer",
        story: "The row 1 is cached. A writer commits 2, and its future is dropped before the \
                store has answered, so between commit and invalidation. Then the key is read. A \
                cache without an operation for writes leaves this to its users, who can run both \
                steps in a task; here they run in the caller.",
        expectation: "The read sees 2, without waiting for the TTL.",
        ttl: LONG,
        run: |case| cancelled_writer(case).boxed(),
    },
    Scenario {
        name: "prefix invalidation during a load",
        story: "Two rows are 1; one is cached, a load of the other is held. Both rows become 2 \
                behind the cache's back, and then their common prefix is invalidated. The load \
                ends. Then both are read.",
        expectation: "Both reads see 2.",
        ttl: LONG,
        run: |case| prefix_invalidation_during_a_load(case).boxed(),
    },
    Scenario {
        name: "bulk invalidation during a load",
        story: "As before, but the whole cache is cleared.",
        expectation: "Both reads see 2.",
        ttl: LONG,
        run: |case| bulk_invalidation_during_a_load(case).boxed(),
    },
    Scenario {
        name: "absent value then created",
        story: "A read finds no row; the row is created as 1 with its key invalidated, and read. \
                Then a load that found no row is held: the create is acknowledged, a reader \
                begins, the load ends, and another reader begins.",
        expectation: "All three readers see 1.",
        ttl: LONG,
        run: |case| absent_value_then_created(case).boxed(),
    },
    Scenario {
        name: "expiry during a load",
        story: "The row 1 is cached and expires; meanwhile the row became 2 behind the cache's \
                back. A load reads it and is held; a reader begins. The row is written as 3, \
                acknowledged; another reader begins. The load ends, and a last reader begins. \
                Whether a TTL counts from the beginning or the end of a load is not judged.",
        expectation: "The first reader does not see the expired 1; the second and the third see 3.",
        ttl: SHORT,
        run: |case| expiry_during_a_load(case).boxed(),
    },
    Scenario {
        name: "concurrent writers",
        story: "The row 1 is cached. A writer commits 2 and is held before its invalidation. A \
                second writer writes 3 and is acknowledged; a reader begins. The first writer goes \
                on and is acknowledged; another reader begins.",
        expectation: "Both readers see 3.",
        ttl: LONG,
        run: |case| concurrent_writers(case).boxed(),
    },
    Scenario {
        name: "bulk invalidation during an increment",
        story: "The row 1 is cached. An increment of the cached row commits 2 and is held. The row \
                becomes 10 behind the cache's back, and the whole cache is cleared. The increment \
                ends. Then the key is read.",
        expectation: "The read sees 10: the increment does not put back what the clear removed.",
        ttl: LONG,
        run: |case| bulk_invalidation_during_an_increment(case).boxed(),
    },
    Scenario {
        name: "panicking weigher",
        story: "The weigher panics for the row. A load of it is held, a second reader begins, and \
                the load ends. Then the row is written as 1, and read.",
        expectation: "Both readers get an answer, which may be an error, and the last read sees 1.",
        ttl: LONG,
        run: |case| panicking_weigher(case).boxed(),
    },
    Scenario {
        name: "heavy value",
        story: "A row is cached. Another row, which is heavier than the whole cache, is read \
                twice. Then the first row is read again.",
        expectation: "The heavy row is returned, loaded each time, and evicts nothing.",
        ttl: LONG,
        run: |case| heavy_value(case).boxed(),
    },
    Scenario {
        name: "nested loads",
        story: "The load of one key reads another key through the cache. The load of a third key \
                reads its own key through the cache. A cache that bounds its loads allows one at a \
                time.",
        expectation: "The first read sees the row. The second gets an answer, which may be an \
                      error.",
        ttl: LONG,
        run: |case| nested_loads(case).boxed(),
    },
];

async fn load_overtaken_by_an_invalidation(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    let mut load = case.load("row/1").await;
    let ((), waited) = load.overtake(case.peer.write("row/1", 2)).await?;
    load.end().await;
    let read = case.read("row/1").await;
    Ok(Observed::new(read == 2, format!("read: {read}{waited}")))
}

async fn reader_after_the_invalidation(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    let mut load = case.load("row/1").await;
    let ((), waited) = load.overtake(case.peer.write("row/1", 2)).await?;
    let reader = case.reader("row/1").await;
    load.end().await;
    let read = reader.finish().await;
    Ok(Observed::new(read == 2, format!("read: {read}{waited}")))
}

async fn failing_load_with_ten_waiters(case: &Case) -> Result<Observed, Stop> {
    case.store.fail();
    let mut load = case.load("row/1").await;
    let mut readers = vec![load.leader];
    for _ in 1..10 {
        readers.push(case.reader("row/1").await);
    }
    load.held.release();
    let answers = join_all(readers.into_iter().map(Reader::finish)).await;
    let informed = answers
        .iter()
        .filter(|answer| **answer == ReadError::StoreFailed)
        .count();
    let loads = case.store.loads();
    Ok(Observed::new(
        informed == 10 && loads == 1,
        format!("{informed} failures, loads: {loads}"),
    ))
}

async fn cancelled_leader(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    let mut load = case.load("row/1").await;
    let second = case.reader("row/1").await;
    load.leader.cancel().await;
    load.held.release();
    let read = second.finish().await;
    Ok(Observed::new(
        read == 1,
        format!("read: {read}, loads: {}", case.store.loads()),
    ))
}

async fn leader_never_polled_again(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    let mut held = case.store.hold_next_load();
    let leader = case.begin("row/1").await;
    held.reached().await;
    held.release();
    let read = case.read("row/1").await;
    // Until here, the first reader's future exists but is not polled.
    drop(leader);
    Ok(Observed::new(
        read == 1,
        format!("read: {read}, loads: {}", case.store.loads()),
    ))
}

async fn cancelled_writer(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    case.read("row/1").await;
    let mut committed = case.store.hold_next_write();
    let mut writer = case.peer.write("row/1", 2);
    let _ = poll!(&mut writer);
    committed.reached().await;
    drop(writer);
    committed.release();
    let read = case.read("row/1").await;
    Ok(Observed::new(read == 2, format!("read: {read}")))
}

async fn prefix_invalidation_during_a_load(case: &Case) -> Result<Observed, Stop> {
    two_rows_invalidated(case, case.peer.invalidate_prefix("row/")).await
}

async fn bulk_invalidation_during_a_load(case: &Case) -> Result<Observed, Stop> {
    two_rows_invalidated(case, case.peer.clear().map(Ok).boxed()).await
}

/// Writes both rows as 2 while `row/2` is cached and the load of `row/1` is held, then runs the
/// invalidation. Passes if later reads of both rows return 2.
async fn two_rows_invalidated(
    case: &Case,
    invalidation: BoxFuture<'_, Result<(), NoSuchOperation>>,
) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    case.store.put("row/2", 1).await;
    case.read("row/2").await;
    let mut load = case.load("row/1").await;
    case.store.put("row/1", 2).await;
    case.store.put("row/2", 2).await;
    let (invalidated, waited) = load.overtake(invalidation).await?;
    invalidated?;
    load.end().await;
    let (loaded, cached) = (case.read("row/1").await, case.read("row/2").await);
    Ok(Observed::new(
        loaded == 2 && cached == 2,
        format!("loaded key: {loaded}; cached key: {cached}{waited}"),
    ))
}

async fn absent_value_then_created(case: &Case) -> Result<Observed, Stop> {
    case.read("row/1").await;
    case.write("row/1", 1).await?;
    let later = case.read("row/1").await;

    let mut load = case.load("row/2").await;
    let ((), waited) = load.overtake(case.peer.write("row/2", 1)).await?;
    let reader = case.reader("row/2").await;
    load.end().await;
    let (during, after) = (reader.finish().await, case.read("row/2").await);
    let passed = later == 1 && during == 1 && after == 1;
    Ok(Observed::new(
        passed,
        format!("read: {later}; during the load: {during}; after it: {after}{waited}"),
    ))
}

async fn expiry_during_a_load(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    case.read("row/1").await;
    case.store.put("row/1", 2).await;
    case.peer.expire(case.ttl).await?;
    let mut load = case.load("row/1").await;
    let first = case.reader("row/1").await;
    let ((), waited) = load.overtake(case.peer.write("row/1", 3)).await?;
    let second = case.reader("row/1").await;
    load.end().await;
    let (first, second, third) = (
        first.finish().await,
        second.finish().await,
        case.read("row/1").await,
    );
    let passed = (first == 2 || first == 3) && second == 3 && third == 3;
    Ok(Observed::new(
        passed,
        format!("read: {first}; after the write: {second}; after the load: {third}{waited}"),
    ))
}

async fn concurrent_writers(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    case.read("row/1").await;
    let mut committed = case.store.hold_next_write();
    let mut first = case.peer.write("row/1", 2);
    let _ = poll!(&mut first);
    committed.reached().await;
    case.write("row/1", 3).await?;
    let between = case.read("row/1").await;
    committed.release();
    first.await;
    let after = case.read("row/1").await;
    Ok(Observed::new(
        between == 3 && after == 3,
        format!("read: {between}; after both: {after}"),
    ))
}

async fn bulk_invalidation_during_an_increment(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/1", 1).await;
    case.read("row/1").await;
    let mut committed = case.store.hold_next_write();
    let mut increment = case.peer.increment("row/1");
    let _ = poll!(&mut increment);
    committed.reached().await;
    case.store.put("row/1", 10).await;
    let clear = case.peer.clear();
    let cleared = timeout(PATIENCE, clear).await;
    committed.release();
    increment.await;
    cleared.map_err(|_| Stop::NoAnswer("the clear"))?;
    let read = case.read("row/1").await;
    Ok(Observed::new(read == 10, format!("read: {read}")))
}

async fn panicking_weigher(case: &Case) -> Result<Observed, Stop> {
    if !case.peer.has_weigher() {
        return Err(Stop::NoSuchOperation);
    }
    if case.peer.aborts_if_the_weigher_panics() {
        return Ok(Observed::new(false, "the process aborts".into()));
    }
    case.store.put("row/1", UNLUCKY).await;
    let mut load = case.load("row/1").await;
    let second = case.reader("row/1").await;
    load.held.release();
    let (first, second) = (load.leader.finish().await, second.finish().await);
    // A cache may weigh the row once more when it is removed.
    let written = AssertUnwindSafe(case.write("row/1", 1)).catch_unwind();
    let Ok(written) = written.await else {
        let values = format!("first: {first}; second: {second}; the write panics");
        return Ok(Observed::new(false, values));
    };
    written?;
    let last = case.reader("row/1").await.finish().await;
    let passed = first.0.is_some() && second.0.is_some() && last == 1;
    Ok(Observed::new(
        passed,
        format!("first: {first}; second: {second}; after the write: {last}"),
    ))
}

async fn heavy_value(case: &Case) -> Result<Observed, Stop> {
    if !case.peer.has_weigher() {
        return Err(Stop::NoSuchOperation);
    }
    case.store.put("row/1", 1).await;
    case.store.put("row/2", HEAVY).await;
    let light = case.read("row/1").await;
    let heavy = (case.read("row/2").await, case.read("row/2").await);
    let loads = case.store.loads();
    let again = case.read("row/1").await;
    let reloads = case.store.loads() - loads;
    let passed = light == 1
        && heavy.0 == HEAVY
        && heavy.1 == HEAVY
        && again == 1
        && loads == 3
        && reloads == 0;
    Ok(Observed::new(
        passed,
        format!(
            "heavy: {}, {}, loads: {}; light: {again}, reloads: {reloads}",
            heavy.0,
            heavy.1,
            loads - 1
        ),
    ))
}

async fn nested_loads(case: &Case) -> Result<Observed, Stop> {
    case.store.put("row/2", 2).await;
    case.store.put("row/3", 3).await;
    let outer = case.reader_through("row/1", "row/2").finish().await;
    let own = case.reader_through("row/3", "row/3").finish().await;
    Ok(Observed::new(
        outer == 2 && own.0.is_some(),
        format!("through another key: {outer}; through its own: {own}"),
    ))
}
