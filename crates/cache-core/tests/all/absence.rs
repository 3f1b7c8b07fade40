//! Absence: that a key has no value is remembered for a short time, and never against a create.

use std::{convert::Infallible, time::Duration};

use cache_core::{Policy, Source, Written};

use crate::support::*;

const ABSENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_absence_is_remembered_for_its_own_time_and_not_a_nanosecond_longer() {
    let bench = bench();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::Loaded)
    );
    bench.hand.advance(just_before(ABSENCE));
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
    assert_eq!(bench.stats().size, 1);
    bench.hand.advance(NANO);
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!((bench.numbers.get(&1), bench.stats().size), (Some(10), 1));
}

#[tokio::test]
async fn an_absence_counts_its_time_from_the_start_of_its_load() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, None));
    gate.begun().await;
    bench.hand.advance(just_before(ABSENCE));
    gate.open();
    assert_eq!(value_of(read).await, None);
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
    bench.hand.advance(NANO);
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_short_ttl_bounds_absences_too() {
    let bench = bench_with(Policy::new(Duration::from_secs(1), 10), |builder| builder);
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    bench.hand.advance(Duration::from_secs(1));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_absence_is_not_served_after_a_create_of_an_unknown_key() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    bench
        .manager
        .guard()
        .creating(&bench.numbers)
        .run(commits(1), stores_nothing)
        .await
        .unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn misses_read_past_the_cache_while_a_create_is_open_and_hits_stay() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    bench.numbers.insert(2, 20);
    let (mut gate, pass) = gate();
    let write = begin_write(
        bench.manager.guard().creating(&bench.numbers),
        commits_after(pass, 1),
        stores_nothing,
    );
    gate.begun().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(2, unused())).await,
        (Some(20), Source::Hit)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::Loaded)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_load_that_a_create_overtakes_remembers_no_absence_and_is_not_joined() {
    let bench = bench();
    let (mut load, pass) = gate();
    let older = begin_read(&bench.numbers, 1, gives_after(pass, None));
    load.begun().await;
    bench
        .manager
        .guard()
        .creating(&bench.numbers)
        .run(commits(1), stores_nothing)
        .await
        .unwrap();
    let (mut fresh, fresh_pass) = gate();
    let newer = begin_read(&bench.numbers, 1, gives_after(fresh_pass, 10));
    fresh.begun().await;
    load.open();
    assert_eq!(value_of(older).await, None);
    assert_eq!(bench.stats().size, 0);
    fresh.open();
    assert_eq!(told(newer).await, (Some(10), Source::Loaded));
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn an_absence_that_ends_while_a_create_is_open_or_after_it_is_not_remembered() {
    for after in [false, true] {
        let bench = bench();
        let (mut load, load_pass) = gate();
        let read = begin_read(&bench.numbers, 1, gives_after(load_pass, None));
        load.begun().await;
        let (mut gate, pass) = gate();
        let write = begin_write(
            bench.manager.guard().creating(&bench.numbers),
            commits_after(pass, 1),
            stores_nothing,
        );
        gate.begun().await;
        if after {
            gate.open();
            write.await.unwrap();
            load.open();
            value_of(read).await;
        } else {
            load.open();
            value_of(read).await;
            gate.open();
            write.await.unwrap();
        }
        assert_eq!(bench.stats().size, 0);
        assert_eq!(
            told(bench.numbers.get_or_load(1, gives(10))).await,
            (Some(10), Source::Loaded)
        );
    }
}

#[tokio::test]
async fn two_creates_are_over_when_both_are() {
    let bench = bench();
    let ((mut first, first_pass), (mut second, second_pass)) = (gate(), gate());
    let one = begin_write(
        bench.manager.guard().creating(&bench.numbers),
        commits_after(first_pass, 1),
        stores_nothing,
    );
    let two = begin_write(
        bench.manager.guard().creating(&bench.numbers),
        commits_after(second_pass, 2),
        stores_nothing,
    );
    first.begun().await;
    second.begun().await;
    first.open();
    one.await.unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::DuringWrite)
    );
    second.open();
    two.await.unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::Loaded)
    );
}

#[tokio::test]
async fn a_create_that_was_not_applied_is_over_too() {
    let bench = bench();
    let write = async { Written::<u64, _>::NotApplied(Down) };
    bench
        .manager
        .guard()
        .creating(&bench.numbers)
        .run(write, stores_nothing)
        .await
        .unwrap_err();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives_nothing())).await,
        (None, Source::Loaded)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_create_in_one_region_leaves_absences_of_others_alone() {
    let bench = bench();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    bench
        .manager
        .guard()
        .creating(&others)
        .run(commits(1), stores_nothing)
        .await
        .unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_write_to_its_key_takes_an_absence_out() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(10), stores_nothing)
        .await
        .unwrap();
    assert_eq!((bench.stats().size, bench.stats().invalidations), (0, 1));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_insert_and_a_lone_writers_row_replace_an_absence() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    assert!(bench.numbers.insert(1, 10));
    assert_eq!((bench.numbers.get(&1), bench.stats().size), (Some(10), 1));
    value_of(bench.numbers.get_or_load(2, gives_nothing())).await;
    let guard = bench
        .manager
        .guard()
        .creating(&bench.numbers)
        .key(&bench.numbers, 2);
    guard
        .run(
            async { Written::<_, Infallible>::Committed(20) },
            stores(&bench.numbers, 2),
        )
        .await
        .unwrap();
    assert_eq!((bench.numbers.get(&2), bench.stats().size), (Some(20), 2));
}

#[tokio::test]
async fn an_absence_is_taken_out_by_hand_by_bulk_and_by_a_region_guard() {
    let bench = bench();
    for key in 1..=3 {
        value_of(bench.numbers.get_or_load(key, gives_nothing())).await;
    }
    assert!(bench.numbers.remove(&1));
    assert_eq!(bench.manager.invalidate_prefix("numbers:2"), 1);
    bench
        .manager
        .guard()
        .region(&bench.numbers)
        .run(commits(1), stores_nothing)
        .await
        .unwrap();
    assert_eq!((bench.stats().size, bench.stats().invalidations), (0, 3));
}

#[tokio::test]
async fn an_absence_found_after_its_value_expired_replaces_the_value() {
    let bench = bench_with(
        Policy {
            fail_safe: Some(TTL),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    assert_eq!(
        value_of(bench.numbers.get_or_load(1, gives_nothing())).await,
        None
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
    bench.hand.advance(ABSENCE);
    assert!(
        bench.numbers.get_or_load(1, fails()).await.is_err(),
        "the old value must not come back as stale"
    );
}

#[tokio::test]
async fn no_more_absences_are_kept_than_the_policy_says() {
    for absences in [0, 10] {
        let bench = bench_with(
            Policy {
                absences,
                ..Policy::new(TTL, 1_000)
            },
            |builder| builder,
        );
        bench.numbers.insert(1_000, 10);
        for key in 0..100 {
            value_of(bench.numbers.get_or_load(key, gives_nothing())).await;
            assert!(bench.stats().size <= 1 + absences as u64);
        }
        assert_eq!(
            bench.numbers.get(&1_000),
            Some(10),
            "absences push no value out"
        );
    }
}
