//! Other processes that write: how old a value may be, and what their changes remove.

use std::{convert::Infallible, time::Duration};

use cache_core::{Policy, Source, TailRead};
use futures_util::FutureExt;

use crate::{support::*, tails};

/// How much older than the source a value may be.
const BOUND: Duration = Duration::from_secs(10);

/// Returns a cache beside other processes that write, before the first renewal.
fn unreported(policy: Policy) -> Fixture {
    fixture_with(policy, |builder| {
        builder.others_write(BOUND).load_timeout(10 * BOUND)
    })
}

/// Returns a cache beside other processes that write.
fn beside_others() -> Fixture {
    let cache = unreported(Policy::new(TTL, 1_000));
    cache.renew();
    cache
}

impl Fixture {
    /// Renews the bound, as if no process had changed anything.
    fn renew(&self) {
        self.manager.renew(self.manager.clock().now());
    }
}

#[tokio::test]
async fn a_value_is_served_within_the_bound_of_the_last_renewal_to_the_nanosecond() {
    let cache = beside_others();
    let logs = tails::setup_of(beside_others());
    let front = cache.numbers.front(Some);
    cache.numbers.insert(1, 10);
    logs.fill(1, &[3]).await;
    for clock in [&cache, &logs.cache] {
        clock.hand.advance(BOUND / 2);
        clock.renew();
        clock.hand.advance(just_before(BOUND));
    }
    let lease = cache.numbers.lease(&[1]).unwrap();
    let is_served = || {
        let glance = front.glance(&1, |value| Some(*value)).is_some();
        let ways = [
            glance,
            cache.numbers.look_up(&1).is_some(),
            cache.numbers.get(&1).is_some(),
            cache.numbers.contains_key(&1),
            cache
                .numbers
                .look_up_many(&[1], |_, value, _| value)
                .is_some(),
            cache.numbers.iter().next().is_some(),
            cache.numbers.lease(&[1]).is_some(),
            cache.numbers.holds(&lease),
            logs.logs.look_up(&1, tails::Seqs::last).is_some(),
        ];
        assert!(ways.iter().all(|way| *way == glance), "{ways:?}");
        glance
    };
    assert!(is_served());
    cache.hand.advance(NANO);
    logs.cache.hand.advance(NANO);
    assert!(!is_served());
    cache.renew();
    logs.cache.renew();
    assert!(is_served(), "a late renewal serves values again");
}

#[tokio::test]
async fn without_renewals_a_value_is_served_while_its_own_load_is_young() {
    let cache = unreported(Policy::new(TTL, 1_000).absence_ttl(TTL));
    let row = Row::holding(10);
    value_of(cache.numbers.get_or_load(1, row.read())).await;
    value_of(cache.numbers.get_or_load(2, returns_none())).await;
    cache.hand.advance(just_before(BOUND));
    assert_eq!(cache.numbers.look_up(&1).unwrap().value, Some(10));
    let absent = value_and_source(cache.numbers.get_or_load(2, never_called())).await;
    assert_eq!(absent, (None, Source::Hit));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.look_up(&1), None);
    row.set(11);
    let read = value_and_source(cache.numbers.get_or_load(1, row.read())).await;
    assert_eq!(read, (Some(11), Source::Loaded));
    let absent = value_and_source(cache.numbers.get_or_load(2, returns_none())).await;
    assert_eq!(absent, (None, Source::Loaded));
}

#[tokio::test]
async fn the_age_of_a_written_row_counts_from_the_opening_of_its_window() {
    let cache = unreported(Policy::new(TTL, 1_000));
    let (writing, gate) = cache.open_window(10).await;
    cache.hand.advance(BOUND / 2);
    gate.open();
    writing.await.unwrap();
    cache.hand.advance(just_before(BOUND / 2));
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_renewal_of_an_earlier_time_has_no_effect() {
    let cache = beside_others();
    cache.numbers.insert(1, 10);
    cache.hand.advance(BOUND / 2);
    cache.renew();
    cache.manager.renew(0);
    cache.hand.advance(just_before(BOUND));
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_region_that_is_created_or_switched_on_later_has_the_same_bound() {
    let cache = beside_others();
    cache.manager.set_enabled("numbers", false);
    cache.hand.advance(BOUND / 2);
    cache.renew();
    assert!(!cache.numbers.is_enabled(), "a report switches nothing on");
    cache.manager.set_enabled("numbers", true);
    let later = cache
        .manager
        .region::<u64, u64>("later", Policy::new(TTL, 10));
    let insert = || [later.insert(1, 10), cache.numbers.insert(1, 10)];
    assert_eq!(insert(), [true, true]);
    cache.hand.advance(BOUND / 2);
    cache.hand.advance(just_before(BOUND / 2));
    assert_eq!([later.get(&1), cache.numbers.get(&1)], [Some(10); 2]);
    cache.hand.advance(NANO);
    assert_eq!([later.get(&1), cache.numbers.get(&1)], [None; 2]);
}

#[tokio::test]
async fn a_change_elsewhere_removes_the_value_and_voids_the_load_and_the_row_of_an_open_write() {
    let cache = beside_others();
    cache.numbers.insert(2, 20);
    let lease = cache.numbers.lease(&[2]).unwrap();
    cache.numbers.changed_elsewhere(&2);
    assert_eq!(cache.numbers.get(&2), None);
    assert!(!cache.numbers.holds(&lease));

    let row = Row::holding(30);
    let (mut gate, pass) = gate();
    let reading = begin_read(&cache.numbers, 3, row.read_then(pass));
    gate.begun().await;
    row.set(31);
    cache.numbers.changed_elsewhere(&3);
    let later = value_and_source(cache.numbers.get_or_load(3, row.read())).await;
    assert_eq!(
        later,
        (Some(31), Source::Loaded),
        "the older load was joined"
    );
    gate.open();
    assert_eq!(value_of(reading).await, Some(30));
    assert_eq!(cache.stats().refused_stores, 1);

    let (writing, gate) = cache.open_window(10).await;
    cache.numbers.changed_elsewhere(&1);
    gate.open();
    assert_eq!(writing.await, Ok(10));
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_change_elsewhere_notifies_the_listeners_of_its_key() {
    let cache = beside_others();
    let mut listeners = [1, 2].map(|key| cache.numbers.listen(key));
    cache.numbers.changed_elsewhere(&1);
    let rung = listeners
        .each_mut()
        .map(|listener| listener.rung().now_or_never());
    assert_eq!(rung, [Some(()), None]);
}

#[tokio::test]
async fn a_create_elsewhere_ends_absences_and_keeps_values() {
    let cache = beside_others();
    cache.numbers.insert(1, 10);
    value_of(cache.numbers.get_or_load(2, returns_none())).await;
    let (mut gate, pass) = gate();
    let reading = begin_read(&cache.numbers, 3, returns_after(pass, None));
    gate.begun().await;
    cache.numbers.created_elsewhere();
    assert_eq!(cache.numbers.get(&1), Some(10));
    let found = value_and_source(cache.numbers.get_or_load(2, returns(20))).await;
    assert_eq!(found, (Some(20), Source::Loaded));
    gate.open();
    assert_eq!(value_of(reading).await, None);
    let found = value_of(cache.numbers.get_or_load(3, returns(30))).await;
    assert_eq!(
        found,
        Some(30),
        "an absence from before the create was kept"
    );
}

#[tokio::test]
async fn beginning_anew_removes_everything_and_notifies_all_listeners() {
    let cache = beside_others();
    let mut listener = cache.numbers.listen(7);
    cache.numbers.insert(2, 20);
    let (mut loading, pass) = gate();
    let reading = begin_read(&cache.numbers, 3, returns_after(pass, 30));
    loading.begun().await;
    let (writing, gate) = cache.open_window(10).await;
    cache.manager.begin_anew();
    loading.open();
    gate.open();
    assert_eq!((value_of(reading).await, writing.await), (Some(30), Ok(10)));
    assert!(cache.numbers.is_empty());
    assert_eq!(listener.rung().now_or_never(), Some(()));
}

#[tokio::test]
async fn a_value_of_the_source_that_is_not_stored_removes_the_older_one() {
    let cache = beside_others();
    let bypass_one = || async {
        value_of(cache.numbers.bypass(1, returns(11))).await;
    };
    let bypass_many = || async {
        let load = |_| async { Ok::<_, Down>(vec![(1, 11)]) };
        cache.numbers.bypass_many(&[1], load).await.unwrap();
    };
    let announce = || async { cache.numbers.will_return(&1) };
    cache.numbers.insert(1, 10);
    bypass_one().await;
    assert_eq!(cache.numbers.get(&1), None, "after a bypassing read");
    cache.numbers.insert(1, 10);
    bypass_many().await;
    assert_eq!(cache.numbers.get(&1), None, "after a bypassing batch");
    cache.numbers.insert(1, 10);
    announce().await;
    assert_eq!(cache.numbers.get(&1), None, "after a read of the source");

    // A load that a removal has overtaken.
    let (mut gate, pass) = gate();
    let reading = begin_read(&cache.numbers, 1, returns_after(pass, 11));
    gate.begun().await;
    cache.numbers.remove(&1);
    cache.numbers.insert(1, 10);
    gate.open();
    assert_eq!(value_of(reading).await, Some(11));
    assert_eq!(cache.numbers.get(&1), None, "after an overtaken load");

    // A ticket that a removal has overtaken.
    let ticket = cache.numbers.begin(1);
    cache.numbers.remove(&1);
    cache.numbers.insert(1, 10);
    assert!(!ticket.finish(11));
    assert_eq!(cache.numbers.get(&1), None, "after a void ticket");
}

#[tokio::test]
async fn a_process_that_writes_alone_keeps_the_value_beside_reads_of_the_source() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    value_of(cache.numbers.bypass(1, returns(10))).await;
    cache.numbers.will_return(&1);
    cache.manager.renew(0);
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_write_that_a_reader_bypassed_stores_no_row() {
    let cache = beside_others();
    let (writing, gate) = cache.open_window(10).await;
    // The reader may have read a change of another process that the write did not see.
    value_of(cache.numbers.get_or_load(1, returns(11))).await;
    gate.open();
    assert_eq!(writing.await, Ok(10));
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn an_old_load_is_joined_only_while_changes_are_reported() {
    let cache = beside_others();
    let row = Row::holding(10);
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, row.read_then(pass));
    gate.begun().await;
    cache.hand.advance(just_before(BOUND));
    let joined = begin_read(&cache.numbers, 1, never_called());
    cache.hand.advance(NANO);
    cache.renew();
    let joined_later = begin_read(&cache.numbers, 1, never_called());
    cache.hand.advance(BOUND);
    row.set(11);
    let own = value_and_source(cache.numbers.get_or_load(1, row.read())).await;
    assert_eq!(own, (Some(11), Source::Loaded));
    gate.open();
    for read in [first, joined, joined_later] {
        assert_eq!(value_of(read).await, Some(10));
    }
}

#[tokio::test]
async fn an_upsert_beside_others_reads_the_source() {
    let cache = beside_others();
    cache.numbers.insert(1, 10);
    let written = cache
        .manager
        .upsert(&cache.numbers, 1, |current| commits(current.unwrap_or(21)))
        .await;
    assert_eq!(written, Ok(21));
}

#[tokio::test]
async fn an_append_elsewhere_is_applied_in_order_and_notifies() {
    let logs = tails::setup_of(beside_others());
    assert!(!logs.logs.has_copy(&1));
    logs.fill(1, &[3]).await;
    assert!(logs.logs.has_copy(&1));
    let last = || logs.logs.look_up(&1, tails::Seqs::last);
    let mut listener = logs.logs.region().listen(1);
    logs.logs.appended_elsewhere(&1, 5, 5);
    assert!(last().is_none(), "entry 4 is missing");
    assert_eq!(listener.rung().now_or_never(), Some(()));
    logs.logs.appended_elsewhere(&1, 4, 4);
    assert_eq!(last().unwrap().value, Some(5));
    logs.logs.region().changed_elsewhere(&1);
    assert!(last().is_none() && !logs.logs.has_copy(&1));
}

#[tokio::test]
async fn a_log_that_is_being_filled_has_copy() {
    let logs = tails::setup_of(beside_others());
    let (filling, release) = logs.held_fill();
    run_tasks().await;
    assert!(logs.logs.has_copy(&7));
    logs.logs.appended_elsewhere(&7, 4, 4);
    release.send(vec![3]).unwrap();
    let TailRead::Found(read) = filling.await else {
        panic!("the log exists");
    };
    assert_eq!(read.value, Some(vec![3, 4]));
}

#[tokio::test]
async fn a_log_that_a_reader_did_not_find_in_the_source_is_removed() {
    let logs = tails::setup_of(beside_others());
    let (mut gate, pass) = gate();
    let load = || async {
        pass.wait().await;
        Ok::<_, Infallible>(None)
    };
    let mut filling = Box::pin(logs.logs.get_or_fill(1, load, tails::Seqs::last));
    assert!((&mut filling).now_or_never().is_none());
    gate.begun().await;
    logs.logs.region().remove(&1);
    logs.fill(1, &[3]).await;
    gate.open();
    assert_eq!(filling.await.unwrap(), TailRead::Absent(Source::Loaded));
    assert!(!logs.logs.has_copy(&1));
}
