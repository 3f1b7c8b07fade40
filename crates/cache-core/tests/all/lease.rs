//! How long it is known, without a look-up, that values are the same.

use std::time::Duration;

use cache_core::Policy;

use crate::support::*;

#[tokio::test]
async fn a_lease_holds_for_the_ttl_of_the_oldest_value_to_the_nanosecond() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    bench.hand.advance(Duration::from_secs(10));
    bench.numbers.insert(2, 20);
    let lease = bench.numbers.lease(&[1, 2]).unwrap();
    bench.hand.advance(just_before(
        TTL.checked_sub(Duration::from_secs(10)).unwrap(),
    ));
    assert!(bench.numbers.holds(&lease));
    bench.hand.advance(NANO);
    assert!(!bench.numbers.holds(&lease));
    assert!(bench.numbers.lease(&[1, 2]).is_none() && bench.numbers.lease(&[2]).is_some());
}

#[tokio::test]
async fn a_lease_ends_when_a_refresh_is_due_so_that_somebody_reads() {
    let bench = bench_with(
        Policy {
            refresh_after: Some(0.5),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    bench.numbers.insert(1, 10);
    let lease = bench.numbers.lease(&[1]).unwrap();
    bench.hand.advance(TTL / 2);
    assert!(!bench.numbers.holds(&lease));
}

#[tokio::test]
async fn what_is_not_in_memory_is_not_leased() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    assert!(bench.numbers.lease(&[1, 2]).is_none());
    value_of(bench.numbers.get_or_load(2, gives_nothing())).await;
    assert!(
        bench.numbers.lease(&[2]).is_none(),
        "an absence is no value"
    );
    assert!(
        bench
            .numbers
            .lease(&[])
            .is_some_and(|lease| bench.numbers.holds(&lease))
    );
}

#[tokio::test]
async fn reads_leave_a_lease_and_every_change_of_the_region_ends_it() {
    let bench = bench();
    let lease = || {
        bench.numbers.insert(1, 10);
        bench.numbers.lease(&[1]).unwrap()
    };
    let before = lease();
    value_of(bench.numbers.get_or_load(1, unused())).await;
    assert!(bench.numbers.holds(&before));
    value_of(bench.numbers.get_or_load(2, gives(20))).await;
    assert!(!bench.numbers.holds(&before), "another key was loaded");
    let before = lease();
    bench.numbers.remove(&1);
    assert!(!bench.numbers.holds(&before), "it was taken out by hand");
    let before = lease();
    bench.manager.clear();
    assert!(!bench.numbers.holds(&before), "everything was taken out");
    let before = lease();
    assert!(bench.manager.set_enabled("numbers", false));
    assert!(!bench.numbers.holds(&before), "the region was switched off");
}

#[tokio::test]
async fn a_write_ends_a_lease_before_it_begins_and_it_stays_lost() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    let lease = bench.numbers.lease(&[1]).unwrap();
    let (writing, gate) = bench.open_window(20).await;
    assert!(!bench.numbers.holds(&lease) && bench.numbers.lease(&[1]).is_none());
    gate.open();
    writing.await.unwrap();
    assert!(!bench.numbers.holds(&lease) && bench.numbers.lease(&[1]).is_some());
}
