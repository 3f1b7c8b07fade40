//! A COMMIT whose answer was lost, and that lands an hour later.

use std::time::Duration;

use cache_adapter::{Cache, Options, observe};
use cache_core::{Clock, Runtime};
use domain::RoomChange;
use tests::faulty::Faults;

use super::subject::numbered;
use crate::{
    store,
    stores::Place,
    unknown::{closed, unknown_windows},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_held_for_an_hour_is_read_past_until_it_lands_and_is_settled() {
    for place in Place::all("a lost COMMIT on postgres").await {
        let store = place.open().await;
        let (kind, bare) = (store.place.kind, &store.r);
        let room = store::room(bare, "room 0").await;
        let faults = Faults::new(0, 0, (Duration::ZERO, Duration::ZERO));
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
        assert_eq!(read().await, (numbered(0), false), "{kind}");
        assert_eq!(
            read().await,
            (numbered(0), true),
            "{kind}: it is kept before the write"
        );

        faults.hold_writes();
        let change = RoomChange {
            name: Some(numbered(1)),
            ..RoomChange::default()
        };
        let error = cache
            .repositories
            .rooms
            .update(room.id, change)
            .await
            .unwrap_err();
        assert!(error.may_be_applied(), "{kind}: {error}");
        for minute in 0..60 {
            assert_eq!(unknown_windows(&cache), 1, "{kind}, minute {minute}");
            assert_eq!(
                read().await,
                (numbered(0), false),
                "{kind}, minute {minute}"
            );
            hand.advance(Duration::from_mins(1));
        }

        // It lands. Settled or not, the next read shows it.
        faults.land_writes().await;
        assert_eq!(read().await.0, numbered(1), "{kind}");
        // An attempt to settle that took too long is repeated after a while.
        tokio::select! {
            () = closed(&cache) => {}
            () = pass(&hand) => {}
        }
        assert_eq!(unknown_windows(&cache), 0, "{kind}");
        assert_eq!(read().await.0, numbered(1), "{kind}");
        assert_eq!(
            read().await,
            (numbered(1), true),
            "{kind}: once settled it is kept again"
        );
    }
}

/// Lets time pass, for good.
async fn pass(hand: &cache_core::ManualClock) {
    loop {
        hand.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
}
