//! Tickets: what a caller has read by itself is stored unless it may be stale.

use cache_core::{Policy, Source};

use crate::support::*;

#[tokio::test]
async fn a_ticket_stores_what_was_read_after_it_was_taken() {
    let cache = fixture();
    let ticket = cache.numbers.begin(1);
    cache.hand.advance(TTL / 2);
    assert!(ticket.finish(10));
    cache.hand.advance(just_before(TTL / 2));
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(
        cache.numbers.get(&1),
        None,
        "the TTL counts from the ticket"
    );
}

#[tokio::test]
async fn a_write_voids_a_ticket_that_was_taken_before_or_during_it() {
    let cache = fixture();
    let before = cache.numbers.begin(1);
    let (write, window) = cache.open_window(20).await;
    let during = cache.numbers.begin(1);
    assert!(!before.finish(10));
    window.open();
    write.await.unwrap();
    assert!(!during.finish(10));
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn removals_by_hand_and_in_bulk_void_a_ticket() {
    let cache = fixture();
    let removals: [&dyn Fn() -> bool; 5] = [
        &|| cache.numbers.remove(&1),
        &|| cache.manager.clear() > 0,
        &|| cache.manager.invalidate_key("numbers:1") > 0,
        &|| cache.manager.set_enabled("numbers", false),
        &|| cache.numbers.insert(1, 9),
    ];
    for remove in removals {
        cache.manager.set_enabled("numbers", true);
        let ticket = cache.numbers.begin(1);
        remove();
        assert!(!ticket.finish(10));
        assert_ne!(cache.numbers.get(&1), Some(10));
    }
}

#[tokio::test]
async fn nobody_waits_for_a_ticket_and_a_load_voids_it() {
    let cache = fixture();
    let ticket = cache.numbers.begin(1);
    let read = value_and_source(cache.numbers.get_or_load(1, returns(11))).await;
    assert_eq!(read, (Some(11), Source::Loaded));
    assert!(!ticket.finish(10));
    assert_eq!(cache.numbers.get(&1), Some(11));
}

#[tokio::test]
async fn a_ticket_does_not_disturb_a_load_and_a_later_ticket_voids_an_earlier_one() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    assert!(!cache.numbers.begin(1).finish(9));
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(cache.numbers.get(&1), Some(10));
    let (earlier, later) = (cache.numbers.begin(2), cache.numbers.begin(2));
    assert!(!earlier.finish(20));
    assert!(later.finish(21));
    assert_eq!(cache.numbers.get(&2), Some(21));
}

#[tokio::test]
async fn a_dropped_or_leaked_ticket_holds_up_nobody() {
    let cache = fixture_with(Policy::new(TTL, 100).refresh_after(0.5), |builder| builder);
    drop(cache.numbers.begin(1));
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL / 2);
    let leaked = cache.numbers.begin(1);
    value_of(cache.numbers.get_or_load(1, returns(11))).await;
    run_tasks().await;
    assert_eq!(cache.numbers.get(&1), Some(11), "the refresh went on");
    assert!(!leaked.finish(9));
}

#[tokio::test]
async fn an_absence_is_stored_unless_a_create_came_in_between() {
    let cache = fixture();
    assert!(cache.numbers.begin(1).finish_absent());
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, never_called())).await,
        None
    );
    let ticket = cache.numbers.begin(2);
    let guard = cache.manager.guard().creating(&cache.numbers);
    guard.run(commits(2)).await.unwrap();
    assert!(!ticket.finish_absent());
    assert_eq!(
        value_of(cache.numbers.get_or_load(2, returns(20))).await,
        Some(20)
    );
}
