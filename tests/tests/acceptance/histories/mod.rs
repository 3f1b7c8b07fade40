//! Linearizability tests. Concurrent clients call a store with injected faults, through the cache
//! and bypassing it. A linearizability checker judges the recorded calls of each key.
//!
//! A seed determines each round, except for the order in which threads run. Therefore, if
//! `GREENROOM_TEST_SEED` is set, the round of this seed is played many times, and no other round.
//! If `GREENROOM_PROOF` is set, there are twenty times as many rounds.

mod activities;
mod held_commit;
mod logs;
mod members;
mod model;
mod personas;
mod read_positions;
mod recorder;
mod rooms;
mod round;

use std::{env, time::Instant};

use cache_core::Fault;
use futures_util::{StreamExt, stream};
use tests::random::Random;

use crate::{
    histories::{
        model::HistoryWorld,
        recorder::{Seed, Tally},
        round::play,
    },
    stores::{Place, Store},
};

/// The number of rounds on each store in an ordinary run.
const ROUNDS: usize = 400;
/// The maximum number of rounds until a planted fault must be found. Usually far fewer are enough.
const ROUNDS_TO_FIND_A_FAULT: usize = 10_000;
/// The number of times that the round of the seed in `GREENROOM_TEST_SEED` is played.
const REPLAYS: usize = 50;
/// The number of concurrent rounds. Each round has its own keys. Concurrency saves time, because
/// the rounds pause often.
const CONCURRENT_ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_sqlite_are_linearizable() {
    assert_linearizable(&Place::sqlite().open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_postgres_are_linearizable() {
    let Some(place) = Place::postgres("histories on postgres").await else {
        return;
    };
    assert_linearizable(&place.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_of_the_cache_is_found_in_a_history() {
    let store = Place::sqlite().open().await;
    let world = HistoryWorld::new(store.r.clone()).await;
    for fault in [
        Fault::LateInvalidation,
        Fault::JoinedOlderLoad,
        Fault::BlindStore,
    ] {
        let began = Instant::now();
        let mut rounds = Box::pin(
            stream::iter(seeds().take(ROUNDS_TO_FIND_A_FAULT))
                .map(|seed| play(world.clone(), seed, fault))
                .buffer_unordered(CONCURRENT_ROUNDS),
        );
        let mut played = 0;
        let history = loop {
            played += 1;
            match rounds.next().await {
                Some(Ok(_)) => {}
                Some(Err(refusal)) => break refusal.history,
                None => panic!("{fault:?} was not found in {ROUNDS_TO_FIND_A_FAULT} rounds"),
            }
        };
        println!("{history}");
        let seconds = began.elapsed().as_secs_f64();
        tests::report(
            "histories.txt",
            &format!(
                "histories: the fault {fault:?} was found in round {played}, after {seconds:.1} s"
            ),
        );
    }
}

async fn assert_linearizable(store: &Store) {
    let world = HistoryWorld::new(store.r.clone()).await;
    let is_replay = env::var_os("GREENROOM_TEST_SEED").is_some();
    let is_proof = env::var_os("GREENROOM_PROOF").is_some();
    let seeds: Vec<Seed> = if is_replay {
        vec![Random::seed(); REPLAYS]
    } else {
        let times = if is_proof { 20 } else { 1 };
        seeds().take(ROUNDS * times).collect()
    };
    let began = Instant::now();
    let rounds = stream::iter(seeds)
        .map(|seed| play(world.clone(), seed, Fault::None))
        .buffer_unordered(CONCURRENT_ROUNDS);
    let kind = store.place.kind;
    let all = rounds.fold(Tally::default(), async |all, round| {
        all + round.unwrap_or_else(|refusal| panic!("on {kind}: {refusal}"))
    });
    let Tally {
        rounds,
        calls,
        unknown,
        hits,
        refused,
    } = all.await;
    let seconds = began.elapsed().as_secs_f64();
    tests::report(
        "histories.txt",
        &format!(
            "histories: {rounds} rounds on {kind} in {seconds:.1} s, {calls} calls, \
             {unknown} of them of unknown outcome, {hits} hits, {refused} refused stores"
        ),
    );
    assert!(
        is_replay || unknown * 100 > calls && hits * 20 > calls && refused > 0,
        "the rounds test too little: more than 1 % of the outcomes must be unknown, hits must be \
         more than 5 % of the calls, and some stores must be refused"
    );
}

/// Returns an endless iterator over seeds of rounds. The seeds are different in each run.
fn seeds() -> impl Iterator<Item = Seed> {
    let random = Random::new(Random::seed());
    std::iter::repeat_with(move || random.below(usize::MAX) as u64)
}
