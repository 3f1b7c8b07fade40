//! Tests of connections to PostgreSQL over a network: TLS, poolers and round trips.

use std::{path::Path, time::Duration};

use domain::{Error, NewMessage, Repositories};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use tempfile::TempDir;
use tests::{
    pgbouncer::Pooler,
    postgres::{Server, server},
    records::{create_agent, create_room},
    slow_link::SlowLink,
    wait::until,
};

/// Opens a store with an empty agents' folder.
async fn open(database: &str) -> (TempDir, domain::Result<Repositories>) {
    let folder = tempfile::tempdir().unwrap();
    let opened = persistence::open(database, folder.path().join("agents")).await;
    (folder, opened)
}

fn tls_address(server: &Server, host: &str, mode: &str, authority: &Path) -> String {
    format!(
        "postgres://postgres@{host}:{}/{}?sslmode={mode}&sslrootcert={}",
        server.port,
        server.database,
        authority.display()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_verify_full_only_the_server_with_the_right_certificate_is_used() {
    let Some(server) = server("TLS to postgres").await else {
        return;
    };
    for (host, mode, authority) in [
        ("localhost", "verify-full", &server.other_authority),
        ("localhost", "verify-ca", &server.other_authority),
        // The certificate is not valid for this name.
        ("127.0.0.1", "verify-full", &server.authority),
    ] {
        let (_folder, opened) = open(&tls_address(&server, host, mode, authority)).await;
        let refused = opened.err().map(|error| error.to_string());
        let refused = refused.unwrap_or_else(|| panic!("{host}, {mode}: not refused"));
        assert!(refused.contains("certificate"), "{host}, {mode}: {refused}");
    }
    let address = tls_address(&server, "localhost", "verify-full", &server.authority);
    let (_folder, opened) = open(&address).await;
    let room = create_room(&opened.unwrap(), "tea").await;
    assert_eq!(room.name.as_str(), "tea");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_of_a_store_with_verify_full_is_encrypted() {
    let Some(server) = server("encryption to postgres").await else {
        return;
    };
    let address = tls_address(&server, "localhost", "verify-full", &server.authority);
    let (_folder, opened) = open(&address).await;
    let store = opened.unwrap();
    create_room(&store, "tea").await;
    store.health.check().await.unwrap();
    let observer = Database::connect(server.address()).await.unwrap();
    let sql = "SELECT COUNT(*) AS connections, COUNT(*) FILTER (WHERE ssl) AS encrypted \
               FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE datname = current_database() AND pid <> pg_backend_pid() \
               AND application_name LIKE 'greenroom %'";
    let row = observer
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .unwrap()
        .unwrap();
    let connections: i64 = row.try_get("", "connections").unwrap();
    let encrypted: i64 = row.try_get("", "encrypted").unwrap();
    assert!(connections >= 4, "{connections} connections");
    assert_eq!(encrypted, connections);
    observer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_between_the_store_and_postgres_is_refused() {
    const TEST: &str = "PgBouncer before postgres";
    let Some(server) = server(TEST).await else {
        return;
    };
    // By default, PgBouncer refuses each session parameter that it does not know. With the last
    // configuration, it accepts the parameter `options` and ignores the settings in it.
    for settings in [
        "",
        "ignore_startup_parameters = extra_float_digits",
        "ignore_startup_parameters = extra_float_digits,options",
    ] {
        let Some(pooler) = Pooler::start(TEST, &server, settings) else {
            return;
        };
        let (_folder, opened) = open(&pooler.address(&server)).await;
        let Err(Error::Invalid(why)) = opened else {
            panic!("{settings}: {:?}", opened.map(drop));
        };
        assert!(why.contains("connection pooler"), "{settings}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_on_postgres_takes_four_round_trips() {
    const MESSAGES: u64 = 100;
    let Some(mut server) = server("round trips to postgres").await else {
        return;
    };
    let link = SlowLink::start(server.port, Duration::ZERO).await;
    server.port = link.port();
    let (_folder, opened) = open(&server.address()).await;
    let store = opened.unwrap();
    let room = create_room(&store, "tea").await.id;
    let agent = create_agent(&store, "Ada").await.id;
    let append = async || {
        let new = NewMessage::from_agent(room, agent, "tea?");
        store.messages.append(new).await.unwrap();
    };
    // The first messages open connections and prepare statements, so they are not counted.
    for _ in 0..20 {
        append().await;
    }
    let before = link.round_trips();
    for _ in 0..MESSAGES {
        append().await;
    }
    // BEGIN, the message, COMMIT, and the ping of the connection, which the pool sends in the
    // background.
    until("the last connection is checked", || {
        link.round_trips() >= before + 4 * MESSAGES
    })
    .await;
    // The pool may have opened another connection, which takes further round trips.
    let taken = link.round_trips() - before;
    assert!(taken < 4 * MESSAGES + MESSAGES / 2, "{taken}");
}
