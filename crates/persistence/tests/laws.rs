//! Runs the laws, which are the contract tests of the ports, on SQLite. The acceptance tests run
//! them on PostgreSQL.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_law() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("laws.db").display());
    let store = persistence::open(&database, folder.path().join("agents"))
        .await
        .unwrap();
    contract::check(&store).await.assert();
}
