//! Every backend keeps every law, bare, behind the cache, and past the cache that guards its writes.

use cache_adapter::{Cache, Options};
use domain::Repositories;

use crate::stores::{Place, Store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_every_law() {
    hold("memory", "bare", &contract::memory::repositories()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_behind_the_cache_keeps_every_law() {
    hold(
        "memory",
        "cached",
        &cached(contract::memory::repositories()).repositories,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_past_the_cache_keeps_every_law() {
    hold(
        "memory",
        "bypassing",
        &cached(contract::memory::repositories()).bypassing,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_law() {
    let store = Place::sqlite().open().await;
    hold("sqlite", "bare", &store.r).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_behind_the_cache_keeps_every_law() {
    let store = Place::sqlite().open().await;
    hold("sqlite", "cached", &cached(store.r.clone()).repositories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_past_the_cache_keeps_every_law() {
    let store = Place::sqlite().open().await;
    hold("sqlite", "bypassing", &cached(store.r.clone()).bypassing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, bare").await else {
        return;
    };
    hold("postgres", "bare", &store.r).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_the_cache_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, cached").await else {
        return;
    };
    hold("postgres", "cached", &cached(store.r.clone()).repositories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_past_the_cache_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, bypassing").await else {
        return;
    };
    hold("postgres", "bypassing", &cached(store.r.clone()).bypassing).await;
}

fn cached(store: Repositories) -> Cache {
    Cache::new(store, Options::default())
}

async fn postgres(test: &str) -> Option<Store> {
    Some(Place::postgres(test).await?.open().await)
}

async fn hold(backend: &str, how: &str, r: &Repositories) {
    let found = contract::check(r).await;
    tests::report(
        "laws.txt",
        &format!(
            "laws: {} of {} on {backend}, {how}",
            found.passed,
            contract::laws().len()
        ),
    );
    found.assert();
}
