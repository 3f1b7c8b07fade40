//! Leases: how long they hold, and what ends them.

use std::time::Duration;

use cache_core::Policy;

use crate::support::*;

#[tokio::test]
async fn a_lease_holds_for_the_ttl_of_the_oldest_value_to_the_nanosecond() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache.hand.advance(Duration::from_secs(10));
    cache.numbers.insert(2, 20);
    let lease = cache.numbers.lease(&[1, 2]).unwrap();
    cache.hand.advance(just_before(
        TTL.checked_sub(Duration::from_secs(10)).unwrap(),
    ));
    assert!(cache.numbers.holds(&lease));
    cache.hand.advance(NANO);
    assert!(!cache.numbers.holds(&lease));
    assert!(cache.numbers.lease(&[1, 2]).is_none() && cache.numbers.lease(&[2]).is_some());
}

#[tokio::test]
async fn a_lease_ends_when_a_refresh_is_due_so_that_a_read_starts_it() {
    let cache = fixture_with(
        Policy {
            refresh_after: Some(0.5),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    cache.numbers.insert(1, 10);
    let lease = cache.numbers.lease(&[1]).unwrap();
    cache.hand.advance(TTL / 2);
    assert!(!cache.numbers.holds(&lease));
}

#[tokio::test]
async fn there_is_no_lease_on_a_value_that_is_not_in_memory() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    assert!(cache.numbers.lease(&[1, 2]).is_none());
    value_of(cache.numbers.get_or_load(2, returns_none())).await;
    assert!(cache.numbers.lease(&[2]).is_none(), "an absence was leased");
    assert!(
        cache
            .numbers
            .lease(&[])
            .is_some_and(|lease| cache.numbers.holds(&lease))
    );
}

#[tokio::test]
async fn reads_do_not_end_a_lease_and_every_change_of_the_region_does() {
    let cache = fixture();
    let lease = || {
        cache.numbers.insert(1, 10);
        cache.numbers.lease(&[1]).unwrap()
    };
    let before = lease();
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    assert!(cache.numbers.holds(&before));
    value_of(cache.numbers.get_or_load(2, returns(20))).await;
    assert!(!cache.numbers.holds(&before), "another key was loaded");
    let before = lease();
    cache.numbers.remove(&1);
    assert!(
        !cache.numbers.holds(&before),
        "the value was removed by hand"
    );
    let before = lease();
    cache.manager.clear();
    assert!(!cache.numbers.holds(&before), "the cache was cleared");
    let before = lease();
    assert!(cache.manager.set_enabled("numbers", false));
    assert!(!cache.numbers.holds(&before), "the region was switched off");
}

#[tokio::test]
async fn a_write_ends_a_lease_before_it_begins_and_for_good() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    let lease = cache.numbers.lease(&[1]).unwrap();
    let (writing, gate) = cache.open_window(20).await;
    assert!(!cache.numbers.holds(&lease) && cache.numbers.lease(&[1]).is_none());
    gate.open();
    writing.await.unwrap();
    assert!(!cache.numbers.holds(&lease) && cache.numbers.lease(&[1]).is_some());
}
