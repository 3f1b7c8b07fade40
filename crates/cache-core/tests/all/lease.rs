//! Leases: how long they hold, and what ends them.

use std::time::Duration;

use cache_core::Policy;

use crate::{support::*, tails};

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
    let cache = fixture_with(Policy::new(TTL, 10).refresh_after(0.5), |builder| builder);
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
async fn reads_do_not_end_a_lease_and_every_change_of_its_key_does() {
    let cache = fixture();
    let lease = || {
        cache.numbers.insert(1, 10);
        cache.numbers.lease(&[1]).unwrap()
    };
    let before = lease();
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    assert!(cache.numbers.holds(&before));
    cache.numbers.insert(1, 10);
    assert!(!cache.numbers.holds(&before), "the value was replaced");
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
async fn a_change_of_another_key_ends_about_one_lease_in_64() {
    let cache = fixture_with(Policy::new(TTL, 100_000), |builder| builder);
    let keys = (0..64).chain(1_000..7_400);
    keys.for_each(|key| assert!(cache.numbers.insert(key, key)));
    let mut ended = 0;
    for key in 1_000..7_400 {
        let lease = cache.numbers.lease(&[key % 64]).unwrap();
        cache.numbers.insert(key, key);
        ended += u64::from(!cache.numbers.holds(&lease));
    }
    // 100 on average; the bounds are seven standard deviations away.
    assert!((30..170).contains(&ended), "{ended} of 6,400 ended");
}

#[tokio::test]
async fn a_load_of_another_key_ends_no_lease() {
    let cache = fixture_with(Policy::new(TTL, 100_000), |builder| builder);
    cache.numbers.insert(1, 10);
    let lease = cache.numbers.lease(&[1]).unwrap();
    for key in 1_000..2_000 {
        value_of(cache.numbers.get_or_load(key, returns(key))).await;
        assert!(cache.numbers.holds(&lease), "key {key}");
    }
}

#[tokio::test]
async fn a_lease_on_the_end_of_a_log_ends_with_its_next_entry() {
    let setup = tails::setup();
    let logs = setup.logs.region();
    setup.fill(7, &[1]).await;
    let lease = logs.lease(&[7]).unwrap();
    setup.logs.saw(&7, 1);
    assert!(logs.holds(&lease), "the copy has this entry");
    setup.append(7, 2).await;
    assert!(!logs.holds(&lease));
    let lease = logs.lease(&[7]).unwrap();
    setup.logs.saw(&7, 3);
    assert!(!logs.holds(&lease), "the copy may not be served");
}

#[tokio::test]
async fn a_lease_over_many_keys_ends_with_a_change_of_any_of_them() {
    let cache = fixture();
    let keys: Vec<u64> = (0..200).collect();
    for changed in &keys {
        for key in &keys {
            cache.numbers.insert(*key, 10);
        }
        let lease = cache.numbers.lease(&keys).unwrap();
        cache.numbers.remove(changed);
        assert!(!cache.numbers.holds(&lease), "key {changed}");
    }
}

#[tokio::test]
async fn a_lease_of_one_region_never_holds_in_another() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 1_000));
    cache.numbers.insert(1, 10);
    others.insert(1, 10);
    let lease = cache.numbers.lease(&[1]).unwrap();
    assert!(cache.numbers.holds(&lease) && !others.holds(&lease));
    let none = cache.numbers.lease(&[]).unwrap();
    assert!(!others.holds(&none), "a lease on no key");
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
