//! Listeners of removals: each value that leaves is reported once, with the reason.

use std::sync::{Arc, Mutex};

use cache_core::{Entry, Policy, Region, Removal};

use crate::support::*;

type Report = (u64, u64, Removal);
type Reports = Arc<Mutex<Vec<Report>>>;

/// Returns a region whose removals are reported.
fn reporting(cache: &Fixture, policy: Policy) -> (Region<u64, u64>, impl Fn() -> Vec<Report>) {
    let reports = Reports::default();
    let listener = reports.clone();
    let region = cache
        .manager
        .region_builder("reporting", policy)
        .on_removal(move |key, value, reason| listener.lock().unwrap().push((key, value, reason)))
        .build();
    (region, move || {
        std::mem::take(&mut *reports.lock().unwrap())
    })
}

#[tokio::test]
async fn a_removed_value_is_reported_with_its_reason() {
    let cache = fixture();
    let (region, reports) = reporting(&cache, Policy::new(TTL, 100));
    region.insert(1, 10);
    region.insert(1, 11);
    assert_eq!(reports(), [(1, 10, Removal::Replaced)]);
    region.remove(&1);
    assert_eq!(reports(), [(1, 11, Removal::Invalidated)]);
    region.insert(1, 12);
    cache
        .manager
        .guard()
        .key(&region, 1)
        .run(commits(0))
        .await
        .unwrap();
    assert_eq!(reports(), [(1, 12, Removal::Written)]);
    region.insert(1, 13);
    cache
        .manager
        .guard()
        .region(&region)
        .run(commits(0))
        .await
        .unwrap();
    assert_eq!(reports(), [(1, 13, Removal::Written)]);
    region.insert_entry(1, Entry::new(14).tag("odd"));
    cache
        .manager
        .guard()
        .tag(&region, "odd")
        .run(commits(0))
        .await
        .unwrap();
    assert_eq!(reports(), [(1, 14, Removal::Written)]);
    region.insert_entry(1, Entry::new(15).tag("odd"));
    cache.manager.invalidate_tag("odd");
    assert_eq!(reports(), [(1, 15, Removal::Invalidated)]);
    region.insert(1, 16);
    cache.manager.clear();
    assert_eq!(reports(), [(1, 16, Removal::Invalidated)]);
    region.insert(1, 17);
    cache.manager.set_enabled("reporting", false);
    assert_eq!(reports(), [(1, 17, Removal::Invalidated)]);
}

#[tokio::test]
async fn an_expired_value_is_reported_as_such_whatever_removes_it() {
    let cache = fixture();
    let (region, reports) = reporting(&cache, Policy::new(TTL, 100));
    region.insert(1, 10);
    region.insert(2, 20);
    region.insert(3, 30);
    cache.hand.advance(TTL);
    region.insert(1, 11);
    region.remove(&2);
    assert_eq!(cache.manager.cleanup().await, 1);
    let expected = [(1, 10), (2, 20), (3, 30)];
    assert_eq!(
        reports(),
        expected.map(|(key, value)| (key, value, Removal::Expired))
    );
}

#[tokio::test]
async fn every_value_is_either_in_memory_or_reported_once() {
    let cache = fixture();
    let (region, reports) = reporting(&cache, Policy::new(TTL, 10));
    for key in 0..1_000 {
        region.insert(key, key * 10);
    }
    let reports = reports();
    assert!(
        reports
            .iter()
            .all(|(key, value, reason)| *value == key * 10 && *reason == Removal::Evicted)
    );
    let gone = reports.into_iter().map(|(key, ..)| key);
    let mut all: Vec<_> = gone.chain(region.iter().map(|(key, _)| key)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_load_that_finds_nothing_reports_the_value_that_it_replaces() {
    let cache = fixture();
    let policy = Policy::new(TTL, 100).refresh_after(0.5);
    let (region, reports) = reporting(&cache, policy);
    region.insert(1, 10);
    cache.hand.advance(TTL / 2);
    value_of(region.get_or_load(1, returns_none())).await;
    run_tasks().await;
    assert_eq!(reports(), [(1, 10, Removal::Replaced)]);
}

#[tokio::test]
async fn a_postponed_refresh_reports_nothing() {
    let cache = fixture();
    let policy = Policy::new(TTL, 100).refresh_after(0.5);
    let (region, reports) = reporting(&cache, policy);
    region.insert(1, 10);
    cache.hand.advance(TTL / 2);
    value_of(region.get_or_load(1, fails())).await;
    run_tasks().await;
    assert_eq!((reports(), region.get(&1)), (vec![], Some(10)));
}

#[tokio::test]
async fn a_listener_that_panics_stops_nothing() {
    let cache = fixture();
    let region: Region<u64, u64> = cache
        .manager
        .region_builder("reporting", Policy::new(TTL, 100))
        .on_removal(|_, _, _| panic!("planted"))
        .build();
    region.insert(1, 10);
    assert!(region.insert(1, 11));
    let guard = cache
        .manager
        .guard()
        .key_storing(&region, 1, |row| Some(*row));
    guard.run(commits(12)).await.unwrap();
    assert_eq!(region.get(&1), Some(12));
}

#[tokio::test]
async fn a_listener_may_use_the_cache() {
    let cache = fixture();
    let numbers = cache.numbers.clone();
    let region: Region<u64, u64> = cache
        .manager
        .region_builder("reporting", Policy::new(TTL, 100))
        .on_removal(move |key, value, _| {
            numbers.insert(key, value);
        })
        .build();
    region.insert(1, 10);
    region.remove(&1);
    assert_eq!(cache.numbers.get(&1), Some(10));
}
