//! Guarantees of the SQL store in addition to the laws, on SQLite and PostgreSQL.

use domain::{AgentId, Error, Image, MessageId, NewMessage, Repositories, RoomId};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement, TransactionTrait};
use tests::{
    records::{create_agent, create_room, texts_and_seqs, user},
    wait::soon,
};

use crate::stores::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_never_reused_not_even_after_a_restart() {
    for place in Place::all("ids on postgres").await {
        let mut store = place.open().await;
        let mut last_room = RoomId(0);
        let mut last_agent = AgentId(0);
        let mut last_message = MessageId(0);
        for round in 0..4 {
            let r = &store.r;
            let (room, agent) = (create_room(r, "gone").await, create_agent(r, "Gone").await);
            let message = r
                .messages
                .append(NewMessage::from_user(room.id, "gone"))
                .await
                .unwrap();
            assert!(
                room.id > last_room && agent.id > last_agent && message.id > last_message,
                "{}: an id must not be used twice",
                store.place.kind
            );
            last_room = room.id;
            last_agent = agent.id;
            last_message = message.id;
            // The message is deleted by a clear, or with its room.
            if round % 2 == 0 {
                assert_eq!(r.messages.clear(room.id).await, Ok(1));
            }
            r.rooms.delete(room.id).await.unwrap();
            r.agents.delete(agent.id).await.unwrap();
            if round == 1 {
                store = store.reopen().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_concurrent_writers_all_succeed() {
    for place in Place::all("16 writers on postgres").await {
        let store = place.open().await;
        let rooms = [
            create_room(&store.r, "one").await.id,
            create_room(&store.r, "two").await.id,
        ];
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let (r, room) = (store.r.clone(), rooms[writer % 2]);
                tokio::spawn(async move {
                    for n in 0..40 {
                        r.messages
                            .append(NewMessage::from_user(room, format!("{n} of {writer}")))
                            .await?;
                        if n % 8 == 0 {
                            r.read_positions
                                .mark(user(&format!("guest-{writer:x}")), room)
                                .await?;
                            r.messages.recent(room, None, 10).await?;
                        }
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), Ok(()), "{}", store.place.kind);
        }
        for room in rooms {
            let seqs: Vec<_> = texts_and_seqs(&store.r, room)
                .await
                .into_iter()
                .map(|(_, seq)| seq)
                .collect();
            assert_eq!(seqs, (1..=320).collect::<Vec<_>>(), "{}", store.place.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_postgres_that_lost_its_lock_writes_until_another_takes_over_and_never_after()
{
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
    // The lock is lost, and no other process takes it.
    server.execute_unprepared(END_LOCKS).await.unwrap();
    append(r, "without the lock").await.unwrap();
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
    let expected = [
        "without the lock",
        "with the lock again",
        "by the other process",
    ];
    assert_eq!(texts, expected);
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
async fn every_list_of_ids_may_have_a_hundred_thousand_ids() {
    const IDS: std::ops::RangeInclusive<i64> = 1..=100_000;
    for place in Place::all("long lists of ids on postgres").await {
        let store = place.open().await;
        let (r, kind) = (&store.r, store.place.kind);
        let room = create_room(r, "tea").await.id;
        let agent = create_agent(r, "Ada").await.id;
        let image = Image {
            media_type: "image/png".into(),
            data: "aGVsbG8=".into(),
        };
        let new = NewMessage {
            image: Some(image),
            ..NewMessage::from_agent(room, agent, "tea?")
        };
        r.messages.append(new).await.unwrap();
        let user = user("guest-1");
        r.read_positions.mark(user.clone(), room).await.unwrap();
        let rooms: Vec<_> = IDS.map(RoomId).collect();
        let agents: Vec<_> = IDS.map(AgentId).collect();
        let messages: Vec<_> = IDS.map(MessageId).collect();
        let found = [
            r.rooms.find_many(&rooms).await.unwrap().len(),
            r.rooms.activities(&rooms).await.unwrap().len(),
            r.agents.find_many(&agents).await.unwrap().len(),
            r.configs.find_many(&agents).await.unwrap().len(),
            r.read_positions
                .find_many(&user, &rooms)
                .await
                .unwrap()
                .len(),
            r.messages.images(room, &messages).await.unwrap().len(),
            r.messages
                .by_authors(room, &agents, MessageId(0), 10)
                .await
                .unwrap()
                .len(),
        ];
        assert_eq!(found, [1; 7], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_is_left_out_of_lists_and_does_not_prevent_a_start() {
    for place in Place::all("lists with a corrupt row on postgres").await {
        let store = place.open().await;
        let (r, kind) = (&store.r, store.place.kind);
        let (damaged, whole) = (
            create_room(r, "damaged").await,
            create_room(r, "whole").await,
        );
        create_agent(r, "Ada").await;
        let bo = create_agent(r, "Bo").await.id;
        for sql in [
            format!("UPDATE rooms SET name = '' WHERE id = {}", damaged.id),
            "UPDATE agents SET name = '../etc' WHERE name = 'Ada'".to_owned(),
        ] {
            store.place.edit(&sql).await;
        }
        let store = store.reopen().await;
        let rooms = store.r.rooms.list().await.unwrap();
        assert_eq!(rooms, std::slice::from_ref(&whole), "{kind}");
        let own = store.r.rooms.list_by_owner(&whole.owner).await.unwrap();
        assert_eq!(own, [whole], "{kind}");
        let agents = store.r.agents.list().await.unwrap();
        assert!(agents.iter().any(|agent| agent.id == bo), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_can_be_added_while_it_is_removed() {
    for place in Place::all("adding and removing on postgres").await {
        let store = place.open().await;
        let (room, agent) = (
            create_room(&store.r, "one").await.id,
            create_agent(&store.r, "Ada").await.id,
        );
        let removers: Vec<_> = (0..3)
            .map(|_| {
                let r = store.r.clone();
                tokio::spawn(async move {
                    for _ in 0..200 {
                        // The removal fails if the agent has already left.
                        let _ = r.rooms.remove_member(room, agent).await;
                    }
                })
            })
            .collect();
        while removers.iter().any(|remover| !remover.is_finished()) {
            let added = futures_util::future::join_all(
                (0..3).map(|_| store.r.rooms.add_member(room, agent)),
            )
            .await;
            assert!(
                added.iter().all(Result::is_ok),
                "{}: {added:?}",
                store.place.kind
            );
        }
    }
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
        assert_eq!(store.r.rooms.list().await.unwrap().len(), 1);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused_and_not_changed() {
    for place in Place::all("a newer schema on postgres").await {
        let store = place.open().await;
        create_room(&store.r, "kept").await;
        let newer = "INSERT INTO seaql_migrations (version, applied_at) \
                     VALUES ('m2999_01_01_later', 0)";
        store.place.edit(newer).await;
        let place = store.close();
        let refused = place.open_when_free().await;
        let Err(Error::Invalid(why)) = refused else {
            panic!(
                "{}: a newer schema must be refused: {refused:?}",
                place.kind
            )
        };
        assert!(
            why.contains("m2999_01_01_later") && why.contains("newer"),
            "{}: {why}",
            place.kind
        );

        place
            .edit("DELETE FROM seaql_migrations WHERE version = 'm2999_01_01_later'")
            .await;
        let store = place.open().await;
        assert_eq!(store.r.rooms.list().await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_row_is_named_by_table_column_and_row() {
    for place in Place::all("corrupt rows on postgres").await {
        let store = place.open().await;
        let (r, kind) = (&store.r, store.place.kind);
        let (room, agent) = (
            create_room(r, "damaged").await,
            create_agent(r, "Damaged").await,
        );
        r.rooms.add_member(room.id, agent.id).await.unwrap();
        let message = r
            .messages
            .append(NewMessage::from_user(room.id, "damaged"))
            .await
            .unwrap();
        r.read_positions
            .mark(user("guest-1"), room.id)
            .await
            .unwrap();

        #[rustfmt::skip] // One row a line.
        let damages = [
            ("messages", "role", message.id.0, "'x'", "'user'"),
            ("messages", "participant_type", message.id.0, "'y'", "'user'"),
            ("messages", "anthropic_calls", message.id.0, "'{'", "NULL"),
            ("messages", "timestamp", message.id.0, "9223372036854775807", "0"),
            ("rooms", "owner", room.id.0, "'a b/c'", "'guest-1'"),
            ("rooms", "name", room.id.0, "''", "'damaged'"),
            ("rooms", "max_interactions", room.id.0, "-1", "NULL"),
            ("rooms", "version", room.id.0, "-1", "1"),
            ("agents", "name", agent.id.0, "'../etc'", "'Damaged'"),
            ("agents", "version", agent.id.0, "-3", "1"),
        ];
        for (table, column, row, damage, repair) in damages {
            let set = async |value: &str| {
                store
                    .place
                    .edit(&format!(
                        "UPDATE {table} SET {column} = {value} WHERE id = {row}"
                    ))
                    .await;
            };
            set(damage).await;
            let error = match table {
                "messages" => r.messages.since(room.id, MessageId(0), 10).await.map(drop),
                "rooms" => r.rooms.find(room.id).await.map(drop),
                _ => r.agents.find_many(&[agent.id]).await.map(drop),
            };
            let Err(error) = error else {
                panic!("{kind}: {table}.{column} = {damage} must not be read")
            };
            let shown = error.to_string();
            assert!(matches!(error, Error::Corrupt { .. }), "{kind}: {shown}");
            assert!(
                shown.starts_with(&format!("table {table}, column {column}, row {row}: ")),
                "{kind}: {shown}"
            );
            set(repair).await;
        }
        assert_eq!(
            texts_and_seqs(r, room.id).await,
            [("damaged".to_owned(), 1)]
        );
        assert!(
            r.rooms.find(room.id).await.unwrap().is_some()
                && r.agents.find(agent.id).await.unwrap().is_some()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_fails_half_way_leaves_nothing_behind() {
    for place in Place::all("half a change on postgres").await {
        let store = place.open().await;
        let (r, kind) = (&store.r, store.place.kind);
        let (room, agent) = (
            create_room(r, "whole").await,
            create_agent(r, "Whole").await,
        );
        r.messages
            .append(NewMessage::from_user(room.id, "first"))
            .await
            .unwrap();
        // With this counter, the message about the new member violates the uniqueness of sequence
        // numbers. The new membership must then not be stored either.
        store
            .place
            .edit(&format!(
                "UPDATE rooms SET last_seq = 0 WHERE id = {}",
                room.id
            ))
            .await;
        r.rooms.add_member(room.id, agent.id).await.unwrap_err();
        assert!(
            r.rooms.members(room.id).await.unwrap().is_empty(),
            "{kind}: a membership must not be stored without its message"
        );
        r.messages
            .append(NewMessage::from_user(room.id, "a sequence number in use"))
            .await
            .unwrap_err();
        assert_eq!(
            r.rooms.activity(room.id).await.unwrap().unwrap().last_seq.0,
            0,
            "{kind}: a sequence number must not be used without its message"
        );

        store
            .place
            .edit(&format!(
                "UPDATE rooms SET last_seq = 1 WHERE id = {}",
                room.id
            ))
            .await;
        assert_eq!(
            r.rooms
                .add_member(room.id, agent.id)
                .await
                .unwrap()
                .message
                .unwrap()
                .seq
                .0,
            2,
            "{kind}"
        );
    }
}

impl Place {
    /// Runs an SQL statement on a separate connection, as another program would. Panics if it
    /// changes no row.
    async fn edit(&self, sql: &str) {
        let connection = Database::connect(&self.database).await.unwrap();
        assert!(
            connection
                .execute_unprepared(sql)
                .await
                .unwrap()
                .rows_affected()
                > 0,
            "no row was changed by: {sql}"
        );
        connection.close().await.unwrap();
    }
}
