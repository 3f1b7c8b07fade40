//! Histories: concurrent calls, cached and past the cache, over a store that fails, judged key by key.
//!
//! A round is played from a seed. `GREENROOM_TEST_SEED` plays the round of that seed alone, again and again, because
//! the order in which threads run is not in the seed. With `GREENROOM_PROOF` there are twenty times the rounds.

mod configs;
mod held;
mod logs;
mod rooms;
mod round;
mod subject;

use std::{env, time::Instant};

use cache_core::Fault;
use futures_util::{StreamExt, stream};
use tests::random::Random;

use crate::{
    histories::{
        round::{Tally, play},
        subject::Stage,
    },
    stores::{Place, Store},
};

/// Rounds of an ordinary run on each store.
const ROUNDS: usize = 400;
/// Rounds within which a planted fault must be seen.
const ROUNDS_TO_SEE_A_FAULT: usize = 10_000;
/// How often one round is played again.
const REPLAYS: usize = 50;
/// Rounds that are played at a time, each on keys of its own.
const AT_A_TIME: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_sqlite_are_linearizable() {
    are_linearizable(&Place::sqlite().open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_postgres_are_linearizable() {
    let Some(place) = Place::postgres("histories on postgres").await else {
        return;
    };
    are_linearizable(&place.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_of_the_cache_is_seen_in_a_history() {
    let store = Place::sqlite().open().await;
    let stage = Stage::new(store.r.clone()).await;
    for fault in [
        Fault::LateInvalidation,
        Fault::JoinedOlderLoad,
        Fault::BlindStore,
    ] {
        let began = Instant::now();
        let mut rounds = Box::pin(
            stream::iter(seeds().take(ROUNDS_TO_SEE_A_FAULT))
                .map(|seed| play(stage.clone(), seed, fault))
                .buffer_unordered(AT_A_TIME),
        );
        let mut played = 0;
        let seen = loop {
            played += 1;
            match rounds.next().await {
                Some(Ok(_)) => {}
                Some(Err(history)) => break history,
                None => panic!("{fault:?} was not seen in {ROUNDS_TO_SEE_A_FAULT} rounds"),
            }
        };
        // The last line plays it again, without the fault.
        println!(
            "{}",
            seen.rsplit_once('\n').map_or("", |(history, _)| history)
        );
        let seconds = began.elapsed().as_secs_f64();
        tests::report(
            "histories.txt",
            &format!(
                "histories: the fault {fault:?} was seen in round {played}, after {seconds:.1} s"
            ),
        );
    }
}

async fn are_linearizable(store: &Store) {
    let stage = Stage::new(store.r.clone()).await;
    let is_replay = env::var_os("GREENROOM_TEST_SEED").is_some();
    let seeds = if is_replay {
        vec![Random::seed(); REPLAYS]
    } else {
        let times = if env::var_os("GREENROOM_PROOF").is_some() {
            20
        } else {
            1
        };
        seeds().take(ROUNDS * times).collect()
    };
    let began = Instant::now();
    let rounds = stream::iter(seeds)
        .map(|seed| play(stage.clone(), seed, Fault::None))
        .buffer_unordered(AT_A_TIME);
    let all = rounds.fold(Tally::default(), async |all, round| {
        let one = round.unwrap_or_else(|history| panic!("on {}: {history}", store.place.kind));
        Tally {
            rounds: all.rounds + one.rounds,
            calls: all.calls + one.calls,
            unknown: all.unknown + one.unknown,
            hits: all.hits + one.hits,
            refused: all.refused + one.refused,
        }
    });
    let Tally {
        rounds,
        calls,
        unknown,
        hits,
        refused,
    } = all.await;
    let (kind, seconds) = (store.place.kind, began.elapsed().as_secs_f64());
    tests::report(
        "histories.txt",
        &format!(
            "histories: {rounds} rounds on {kind} in {seconds:.1} s, {calls} calls, {unknown} of them of unknown outcome, {hits} hits, \
             {refused} refused stores"
        ),
    );
    assert!(
        is_replay || unknown * 100 > calls && hits * 20 > calls && refused > 0,
        "the rounds are too tame"
    );
}

/// Seeds of rounds, others in each run.
fn seeds() -> impl Iterator<Item = u64> {
    let random = Random::new(Random::seed());
    std::iter::repeat_with(move || random.below(usize::MAX) as u64)
}
