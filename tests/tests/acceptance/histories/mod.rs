//! Histories: concurrent calls, cached and bypassing the cache, over a store that fails. A
//! linearizability checker judges the calls of each key.
//!
//! A seed determines each round, except for the order in which threads run. Therefore
//! `GREENROOM_TEST_SEED` plays the round of that seed many times and no other round. With
//! `GREENROOM_PROOF` there are twenty times as many rounds.

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

/// The rounds of an ordinary run on each store.
const ROUNDS: usize = 400;
/// The rounds within which a planted fault must be found. Usually far fewer suffice.
const ROUNDS_TO_FIND_A_FAULT: usize = 10_000;
/// The number of times that the round of a given seed is played.
const REPLAYS: usize = 50;
/// Rounds in progress at a time, each on its own keys, so that their pauses overlap.
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

/// Returns seeds of rounds, different ones in each run.
fn seeds() -> impl Iterator<Item = Seed> {
    let random = Random::new(Random::seed());
    std::iter::repeat_with(move || random.below(usize::MAX) as u64)
}
