//! A COMMIT whose response is lost, and which the store applies an hour later.

use std::time::Duration;

use cache_adapter::{Cache, Options, observe};
use cache_core::{Clock, ManualClock, Runtime};
use tests::{
    faulty::{AnswerDelay, StoreFaults},
    records::{create_room, rename},
    region_stats::{unknown_windows, wait_until_windows_close},
};

use super::model::room_name;
use crate::stores::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_bypass_the_cache_until_a_lost_commit_that_is_held_for_an_hour_is_settled() {
    for place in Place::all("a lost COMMIT on postgres").await {
        let store = place.open().await;
        let (kind, bare) = (store.place.kind, &store.r);
        let room = create_room(bare, "room 0").await;
        let faults = StoreFaults::new(0, 0, AnswerDelay::default());
        let (clock, hand) = Clock::manual();
        let cache = Cache::with_runtime(
            faults.plant(bare.clone()),
            &Options::default(),
            Runtime::tokio_with(clock),
        );
        let read = async || {
            let (found, observed) = observe(cache.repositories.rooms.find(room.id)).await;
            (found.unwrap().unwrap().name.clone(), observed.is_hit())
        };
        assert_eq!(read().await, (room_name(0), false), "{kind}");
        assert_eq!(
            read().await,
            (room_name(0), true),
            "{kind}: the room must be cached before the write"
        );

        faults.hold_writes();
        let error = cache
            .repositories
            .rooms
            .update(room.id, rename("room 1"))
            .await
            .unwrap_err();
        assert!(error.may_be_applied(), "{kind}: {error}");
        for minute in 0..60 {
            assert_eq!(unknown_windows(&cache), 1, "{kind}, minute {minute}");
            assert_eq!(
                read().await,
                (room_name(0), false),
                "{kind}, minute {minute}"
            );
            hand.advance(Duration::from_mins(1));
        }

        // As soon as the write is applied, the next read must return its data. This holds whether
        // the write is settled or not.
        faults.apply_held_writes().await;
        assert_eq!(read().await.0, room_name(1), "{kind}");
        // The cache repeats an attempt to settle only after a pause on its clock.
        tokio::select! {
            () = wait_until_windows_close(&cache) => {}
            () = advance_forever(&hand) => {}
        }
        assert_eq!(unknown_windows(&cache), 0, "{kind}");
        assert_eq!(read().await.0, room_name(1), "{kind}");
        assert_eq!(
            read().await,
            (room_name(1), true),
            "{kind}: the room must be cached again after settling"
        );
    }
}

/// Advances the clock until the caller drops the future.
async fn advance_forever(hand: &ManualClock) {
    loop {
        hand.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
}
