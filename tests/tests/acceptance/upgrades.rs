//! Tests that databases of earlier versions are upgraded. `tests/stored/make.sh` created them.

use std::{future::poll_fn, task::Poll};

use domain::{AgentId, MessageId, NewMessage, RoomId, UserId};
use sea_orm::{ConnectionTrait, Database, Statement};
use tests::records::texts_and_seqs;

use crate::stores::Place;

/// The databases of one version of the schema, as scripts that create them.
struct Version {
    number: u32,
    sqlite: &'static str,
    postgres: &'static str,
}

const VERSIONS: [Version; 4] = [
    Version {
        number: 1,
        sqlite: include_str!("../../stored/version-1.sqlite.sql"),
        postgres: include_str!("../../stored/version-1.postgres.sql"),
    },
    Version {
        number: 2,
        sqlite: include_str!("../../stored/version-2.sqlite.sql"),
        postgres: include_str!("../../stored/version-2.postgres.sql"),
    },
    Version {
        number: 3,
        sqlite: include_str!("../../stored/version-3.sqlite.sql"),
        postgres: include_str!("../../stored/version-3.postgres.sql"),
    },
    Version {
        number: 4,
        sqlite: include_str!("../../stored/version-4.sqlite.sql"),
        postgres: include_str!("../../stored/version-4.postgres.sql"),
    },
];

/// Creates a database with the contents that a program of this version has stored.
async fn store_version(place: &Place, version: &Version) {
    let (address, dump) = if place.kind == "sqlite" {
        (format!("{}?mode=rwc", place.database), version.sqlite)
    } else {
        (place.database.clone(), version.postgres)
    };
    let connection = Database::connect(address).await.unwrap();
    connection.execute_unprepared(dump).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_any_version_is_upgraded_with_everything_in_it() {
    for version in &VERSIONS {
        for place in Place::all("an upgrade on postgres").await {
            store_version(&place, version).await;
            check_upgrade(place, version).await;
        }
    }
}

/// Opens a database of an earlier version, and checks that everything in it is there.
async fn check_upgrade(place: Place, version: &Version) {
    let version = version.number;
    let kind = format!("version {version} on {}", place.kind);
    let store = place.open().await;
    let r = &store.r;
    let (tea, other) = (RoomId(1), RoomId(2));
    let texts: Vec<_> = texts_and_seqs(r, tea)
        .await
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    let expected: Vec<_> = (1..=5).map(|n| format!("message {n} 하늘")).collect();
    assert_eq!(texts, expected, "{kind}");
    let names: Vec<_> = r.rooms.list(None, 1_000).await.unwrap();
    let names: Vec<_> = names.iter().map(|room| room.name.as_str()).collect();
    assert_eq!(names, ["tea", "찻집"], "{kind}");
    let members: Vec<_> = r
        .rooms
        .members(tea)
        .await
        .unwrap()
        .iter()
        .map(|m| m.agent)
        .collect();
    assert_eq!(members, [AgentId(1), AgentId(2)], "{kind}");
    let agents = r.agents.list(None, 1_000).await.unwrap();
    assert_eq!(agents.len(), 6, "{kind}: one of seven agents is deleted");
    // The agents' files are gone, so their last personas come from the table.
    let persona = r.configs.find(AgentId(1)).await.unwrap().unwrap();
    assert!(
        persona.in_a_nutshell.contains("Lighthouse"),
        "{kind}: {persona:?}"
    );
    let position = r.read_positions.find(&UserId::admin(), tea).await.unwrap();
    assert_eq!(position.unwrap().read_seq.0, 5, "{kind}");
    // The upgrade has counted the answers.
    let counts = r.messages.answer_counts(tea).await.unwrap().unwrap();
    let counted: Vec<_> = counts
        .by_agent
        .iter()
        .map(|(id, count)| (id.0, *count))
        .collect();
    assert_eq!(counted, [(1, 2), (2, 1)], "{kind}");
    let images = r.messages.images(other, &[MessageId(6)]).await.unwrap();
    assert_eq!(images.len(), 1, "{kind}");
    // The upgrade has measured the image.
    let bytes = r.messages.image_bytes(&UserId::admin()).await.unwrap();
    assert_eq!(bytes, images[0].1.bytes(), "{kind}");
    let new = NewMessage::from_agent(tea, AgentId(2), "after the upgrade");
    let message = r.messages.append(new).await.unwrap();
    assert_eq!((message.seq.0, message.id), (6, MessageId(7)), "{kind}");
    let counts = r.messages.answer_counts(tea).await.unwrap().unwrap();
    assert_eq!(counts.by_agent[&AgentId(2)], 2, "{kind}");
    // The upgrade has counted all messages, too.
    assert_eq!(r.messages.clear(tea).await, Ok(6), "{kind}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_is_abandoned_at_any_step_does_not_prevent_the_next_start() {
    for step in 1.. {
        let place = Place::sqlite();
        store_version(&place, &VERSIONS[0]).await;
        let mut opening = Box::pin(place.try_open());
        let mut polls = 0;
        let opened = poll_fn(|context| {
            polls += 1;
            match opening.as_mut().poll(context) {
                Poll::Ready(opened) => Poll::Ready(Some(opened)),
                Poll::Pending if polls == step => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(opening);
        let is_complete = opened.map(|opened| opened.map(drop).unwrap()).is_some();
        let store = place.open().await;
        let rooms = store.r.rooms.list(None, 1_000).await.unwrap();
        assert_eq!(rooms.len(), 2, "step {step}");
        let counts = store.r.messages.answer_counts(RoomId(1)).await.unwrap();
        assert_eq!(counts.unwrap().by_agent.len(), 2, "step {step}");
        if is_complete {
            assert!(step > 10, "an upgrade has {step} steps");
            break;
        }
    }
}

/// Returns a description of every table, column, index and constraint. Two databases with the same
/// description accept the same rows and answer the same queries.
async fn describe(place: &Place) -> Vec<String> {
    let queries: &[&str] = if place.kind == "sqlite" {
        // Version 1 declares integers as BIGINT, which SQLite treats like INTEGER. Its primary keys
        // admit NULL by their declarations, but a row id is never NULL.
        &[
            "SELECT t.name || ' ' || c.name || ' ' || \
             replace(lower(c.type), 'bigint', 'integer') || ' ' || c.pk || ' ' || \
             CASE WHEN c.pk > 0 THEN 1 ELSE c.\"notnull\" END || ' ' || \
             COALESCE(upper(c.dflt_value), '') FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'",
            "SELECT t.name || ' ' || k.\"from\" || ' ' || k.\"table\" || ' ' || k.\"to\" || ' ' || \
             k.on_delete FROM sqlite_master t, pragma_foreign_key_list(t.name) k \
             WHERE t.type = 'table'",
            "SELECT t.name || ' ' || i.\"unique\" || i.partial || ' ' || \
             (SELECT group_concat(name) FROM pragma_index_info(i.name)) || ' ' || \
             COALESCE((SELECT lower(replace(substr(sql, instr(sql, 'WHERE')), '\"', '')) \
             FROM sqlite_master WHERE name = i.name AND i.partial), '') \
             FROM sqlite_master t, pragma_index_list(t.name) i \
             WHERE t.type = 'table' AND i.origin <> 'pk'",
        ]
    } else {
        &[
            "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, \
             column_default, identity_generation) FROM information_schema.columns \
             WHERE table_schema = 'public'",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)) \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        ]
    };
    let connection = Database::connect(&place.database).await.unwrap();
    let mut lines = Vec::new();
    for query in queries {
        let statement = Statement::from_string(connection.get_database_backend(), *query);
        for row in connection.query_all_raw(statement).await.unwrap() {
            lines.push(row.try_get_by_index::<String>(0).unwrap());
        }
    }
    connection.close().await.unwrap();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_database_has_the_schema_of_a_new_one() {
    for version in &VERSIONS {
        let new = Place::all("a new schema on postgres").await;
        let old = Place::all("an upgraded schema on postgres").await;
        for (new, old) in new.iter().zip(&old) {
            store_version(old, version).await;
            drop(old.open_when_free().await.unwrap());
            drop(new.open_when_free().await.unwrap());
            let (new_schema, old_schema) = (describe(new).await, describe(old).await);
            assert!(new_schema.len() > 60, "{new_schema:#?}");
            let (version, kind) = (version.number, new.kind);
            assert_eq!(old_schema, new_schema, "version {version} on {kind}");
        }
    }
}
