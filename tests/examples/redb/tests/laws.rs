//! Runs the laws on the backend, and compares the line counts in the guide with the files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cache_adapter::{Cache, Options};
use contract::Reopen;
use domain::{Repositories, Result};
use futures_util::{FutureExt as _, future::BoxFuture};
use tempfile::TempDir;

/// A database file in a temporary folder.
struct DatabasePath(TempDir);

impl DatabasePath {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Result<Repositories> {
        redb_backend::open(self.0.path().join("greenroom.redb")).await
    }
}

impl Reopen for DatabasePath {
    fn open(&self) -> BoxFuture<'_, Result<Repositories>> {
        // The laws await every call, so the file is closed when the last port is dropped.
        self.open().boxed()
    }

    fn try_open(&self) -> BoxFuture<'_, Result<Repositories>> {
        self.open().boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redb_keeps_every_law() {
    let path = DatabasePath::new();
    contract::check(&path.open().await.unwrap()).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redb_behind_the_cache_keeps_every_law() {
    let path = DatabasePath::new();
    let cache = Cache::new(path.open().await.unwrap(), Options::default());
    contract::check(&cache.repositories).await.assert();
    contract::check(&cache.bypassing).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redb_keeps_the_laws_of_reopening() {
    contract::check_reopening(&DatabasePath::new())
        .await
        .assert();
}

#[test]
fn the_guide_shows_the_line_count_of_each_file() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = package.join("../../../docs/adding-a-backend.md");
    let guide = fs::read_to_string(guide).unwrap();
    let listed: BTreeMap<String, usize> = guide.lines().filter_map(table_row).collect();
    let mut counted = BTreeMap::new();
    for folder in ["src", "tests"] {
        for entry in fs::read_dir(package.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(package).unwrap().display().to_string();
            counted.insert(name, count_lines(&path));
        }
    }
    assert_eq!(listed, counted, "left: the guide, right: the files");
}

/// Returns the file and the count of a row such as ``| `src/lib.rs` | the port | 7 |``.
fn table_row(line: &str) -> Option<(String, usize)> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let [_, file, _, count, _] = cells[..] else {
        return None;
    };
    let file = file.strip_prefix('`')?.strip_suffix('`')?;
    Some((file.to_owned(), count.parse().ok()?))
}

/// Counts the lines that are neither blank nor comments.
fn count_lines(path: &PathBuf) -> usize {
    let source = fs::read_to_string(path).unwrap();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    source.lines().filter(is_code).count()
}
