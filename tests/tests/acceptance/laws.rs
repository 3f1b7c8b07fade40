//! Runs every law on every backend: directly, through the cache, and through the ports whose reads
//! bypass the cache and whose writes still guard it.

use std::fs;

use cache_adapter::{Cache, Options};
use contract::{EditFiles, Reopen};
use domain::{AgentName, Repositories};
use futures_util::future::BoxFuture;

use crate::stores::{Place, Store};

impl Reopen for Place {
    fn open(&self) -> BoxFuture<'_, domain::Result<Repositories>> {
        Box::pin(self.open_when_free())
    }

    fn try_open(&self) -> BoxFuture<'_, domain::Result<Repositories>> {
        Box::pin(self.try_open())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_keeps_the_laws_of_reopening() {
    for place in Place::all("reopening on postgres").await {
        let report = contract::check_reopening(&place).await;
        let line = format!("laws of reopening: {} on {}", report.passed, place.kind);
        tests::report("laws.txt", &line);
        report.assert();
    }
}

/// The agents' folder of a store, which a person edits.
struct EditedFolder<'a>(&'a Store);

impl EditFiles for EditedFolder<'_> {
    fn repositories(&self) -> Repositories {
        self.0.r.clone()
    }

    fn write(&self, path: &str, in_a_nutshell: &str) {
        let path = self.0.place.agents().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("in_a_nutshell: {in_a_nutshell}\n")).unwrap();
    }

    fn break_files(&self, path: &str) {
        self.write(path, "[");
    }

    fn path(&self, name: &AgentName) -> String {
        format!("{name}/agent.yaml")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_keeps_the_laws_of_files() {
    for place in Place::all("the laws of files on postgres").await {
        let store = place.open().await;
        let report = contract::check_files(&EditedFolder(&store)).await;
        let line = format!("laws of files: {} on {}", report.passed, store.place.kind);
        tests::report("laws.txt", &line);
        report.assert();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_every_law() {
    check_laws("memory", "bare", &contract::memory::repositories()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_behind_the_cache_keeps_every_law() {
    let cache = cache_over(contract::memory::repositories());
    check_laws("memory", "cached", &cache.repositories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_bypassing_the_cache_keeps_every_law() {
    let cache = cache_over(contract::memory::repositories());
    check_laws("memory", "bypassing", &cache.bypassing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_law() {
    let store = Place::sqlite().open().await;
    check_laws("sqlite", "bare", &store.r).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_behind_the_cache_keeps_every_law() {
    let store = Place::sqlite().open().await;
    check_laws(
        "sqlite",
        "cached",
        &cache_over(store.r.clone()).repositories,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_bypassing_the_cache_keeps_every_law() {
    let store = Place::sqlite().open().await;
    check_laws(
        "sqlite",
        "bypassing",
        &cache_over(store.r.clone()).bypassing,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, bare").await else {
        return;
    };
    check_laws("postgres", "bare", &store.r).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_the_cache_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, cached").await else {
        return;
    };
    check_laws(
        "postgres",
        "cached",
        &cache_over(store.r.clone()).repositories,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_bypassing_the_cache_keeps_every_law() {
    let Some(store) = postgres("the laws on postgres, bypassing").await else {
        return;
    };
    check_laws(
        "postgres",
        "bypassing",
        &cache_over(store.r.clone()).bypassing,
    )
    .await;
}

fn cache_over(store: Repositories) -> Cache {
    Cache::new(store, Options::default())
}

/// Opens a store on a new PostgreSQL database; `None` if PostgreSQL is not installed.
async fn postgres(test: &str) -> Option<Store> {
    Some(Place::postgres(test).await?.open().await)
}

/// Runs every law and reports the number of laws that passed. Panics if a law is broken.
async fn check_laws(backend: &str, route: &str, ports: &Repositories) {
    let report = contract::check(ports).await;
    let (passed, all) = (report.passed, contract::laws().len());
    let line = format!("laws: {passed} of {all} on {backend}, {route}");
    tests::report("laws.txt", &line);
    report.assert();
}
