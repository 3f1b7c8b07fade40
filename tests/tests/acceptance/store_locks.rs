//! Tests of the locks that keep a second process out, and of writes that wait for other locks.

use domain::{Error, NewMessage, Repositories};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement, TransactionTrait};
use tests::{
    records::{create_room, texts_and_seqs},
    wait::soon,
};

use crate::stores::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_postgres_that_lost_its_lock_may_write_until_another_takes_over_not_after() {
    /// Ends the sessions that hold the exclusive lock.
    const END_LOCKS: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks \
                             WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' \
                             AND database = (SELECT oid FROM pg_database \
                             WHERE datname = current_database())";
    let Some(place) = Place::postgres("a lost lock on postgres").await else {
        return;
    };
    let server = Database::connect(&place.database).await.unwrap();
    let store = place.open().await;
    let r = &store.r;
    let room = create_room(r, "tea").await.id;
    let append = async |r: &Repositories, text: &str| {
        r.messages.append(NewMessage::from_user(room, text)).await
    };
    // The lock is lost, and no other process takes it. A write then needs a connection that was
    // opened before. It fails if none is idle, and then nothing of it is stored.
    server.execute_unprepared(END_LOCKS).await.unwrap();
    let unlocked = append(r, "without the lock").await;
    if let Err(refused) = &unlocked {
        assert!(!refused.may_be_applied(), "{refused}");
    }
    soon("the lock is acquired again", async {
        while r.health.check().await.is_err() {}
    })
    .await;
    append(r, "with the lock again").await.unwrap();
    // The lock is lost, and another process takes it.
    server.execute_unprepared(END_LOCKS).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = persistence::open(&store.place.database, folder.path().join("agents"));
    let other = soon("another process takes over", other).await.unwrap();
    // More writes than there are connections.
    for _ in 0..20 {
        append(r, "too late").await.unwrap_err();
    }
    append(&other, "by the other process").await.unwrap();
    let refused = r.health.check().await;
    assert!(refused.is_err(), "{refused:?}");
    append(r, "too late").await.unwrap_err();
    let texts: Vec<_> = texts_and_seqs(&other, room).await;
    let texts: Vec<_> = texts.iter().map(|(text, _)| text.as_str()).collect();
    let mut expected = vec!["with the lock again", "by the other process"];
    if unlocked.is_ok() {
        expected.insert(0, "without the lock");
    }
    assert_eq!(texts, expected);
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_on_postgres_succeeds_after_the_server_has_ended_all_idle_connections() {
    /// Ends all sessions but the one that holds the exclusive lock.
    const END_IDLE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity AS session \
                            WHERE datname = current_database() AND pid <> pg_backend_pid() \
                            AND NOT EXISTS (SELECT 1 FROM pg_locks AS held \
                            WHERE held.pid = session.pid AND held.locktype = 'advisory' \
                            AND held.mode = 'ExclusiveLock')";
    let Some(place) = Place::postgres("ended connections on postgres").await else {
        return;
    };
    let server = Database::connect(&place.database).await.unwrap();
    let store = place.open().await;
    let r = &store.r;
    let room = create_room(r, "tea").await.id;
    let append = || r.messages.append(NewMessage::from_user(room, "hello"));
    // As many at the same time as the store has connections for writes.
    for appended in futures_util::future::join_all((0..16).map(|_| append())).await {
        appended.unwrap();
    }
    server.execute_unprepared(END_IDLE).await.unwrap();
    assert_eq!(append().await.unwrap().seq.0, 17);
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_for_a_lock_on_postgres_leave_connections_to_reads_and_settling() {
    const WRITERS: usize = 20;
    let Some(place) = Place::postgres("waiting writes on postgres").await else {
        return;
    };
    let store = place.open().await;
    let r = &store.r;
    let mut rooms = Vec::new();
    for number in 0..WRITERS {
        rooms.push(create_room(r, &format!("room {number}")).await.id);
    }
    let other = Database::connect(&store.place.database).await.unwrap();
    let blocker = other.begin().await.unwrap();
    // The lock that CREATE INDEX takes. It blocks no reader.
    let lock = "LOCK TABLE messages IN SHARE MODE";
    blocker.execute_unprepared(lock).await.unwrap();
    let writers: Vec<_> = rooms
        .iter()
        .map(|&room| {
            let r = r.clone();
            tokio::spawn(
                async move { r.messages.append(NewMessage::from_user(room, "late")).await },
            )
        })
        .collect();
    let waiting = Statement::from_string(
        DbBackend::Postgres,
        "SELECT COUNT(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    );
    soon("eight writers wait", async {
        let mut count = 0;
        while count < 8 {
            let row = other.query_one_raw(waiting.clone()).await.unwrap().unwrap();
            count = row.try_get::<i64>("", "waiting").unwrap();
        }
    })
    .await;
    soon("reads are answered", async {
        for &room in &rooms {
            r.rooms.find(room).await.unwrap();
            r.messages.recent(room, None, 10).await.unwrap();
        }
        r.health.check().await.unwrap();
    })
    .await;
    blocker.rollback().await.unwrap();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_until_the_first_has_ended() {
    for place in Place::all("a second process on postgres").await {
        let store = place.open().await;
        let Err(Error::Conflict(why)) = store.place.try_open().await else {
            panic!(
                "{}: a second process must not open the store",
                store.place.kind
            )
        };
        assert!(
            why.contains("another process uses this database"),
            "{}: {why}",
            store.place.kind
        );
        // The refusal does not affect the first process.
        create_room(&store.r, "still writable").await;
        let store = store.reopen().await;
        assert_eq!(store.r.rooms.list(None, 1_000).await.unwrap().len(), 1);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_under_every_name_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite:{}", at(name).display());
    let refused = async |database: &str, agents: &str| {
        let opened = persistence::open(database, at(agents)).await;
        matches!(opened, Err(Error::Conflict(_)))
    };
    let store = persistence::open(&url("a b.db"), at("agents"))
        .await
        .unwrap();
    std::os::unix::fs::symlink(at("a b.db"), at("link.db")).unwrap();
    std::fs::hard_link(at("a b.db"), at("hard.db")).unwrap();
    std::fs::remove_file(at("a b.db.lock")).unwrap();
    for name in ["a b.db", "a%20b.db", "link.db", "hard.db"] {
        assert!(refused(&url(name), "other agents").await, "{name}");
    }
    // The agents' folder belongs to the first process, too.
    std::os::unix::fs::symlink(at("agents"), at("linked agents")).unwrap();
    assert!(refused(&url("another.db"), "agents").await);
    assert!(refused(&url("another.db"), "linked agents").await);
    // The health check fails while the folder or the database is at another path.
    store.health.check().await.unwrap();
    std::fs::rename(at("agents"), at("moved agents")).unwrap();
    assert!(store.health.check().await.is_err());
    std::fs::rename(at("moved agents"), at("agents")).unwrap();
    store.health.check().await.unwrap();
    std::fs::rename(at("a b.db"), at("moved.db")).unwrap();
    assert!(store.health.check().await.is_err());
}
