//! Guarantees of the SQL store in addition to the laws, on SQLite and PostgreSQL.

use domain::{AgentId, Error, Image, MessageId, NewMessage, RoomId};
use sea_orm::{ConnectionTrait, Database};
use tests::records::{create_agent, create_room, texts_and_seqs, user};

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
                .by_authors(room, &agents, Some(MessageId(0)), 10)
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
        let rooms = store.r.rooms.list(None, 1_000).await.unwrap();
        assert_eq!(rooms, std::slice::from_ref(&whole), "{kind}");
        let own = store
            .r
            .rooms
            .list_by_owner(&whole.owner, None, 1_000)
            .await
            .unwrap();
        assert_eq!(own, [whole], "{kind}");
        let agents = store.r.agents.list(None, 1_000).await.unwrap();
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
        assert_eq!(store.r.rooms.list(None, 1_000).await.unwrap().len(), 1);
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
async fn other_rows_take_the_place_of_an_unreadable_row_of_a_list() {
    for place in Place::all("unreadable rows of a list on postgres").await {
        let store = place.open().await;
        let rooms = &store.r.rooms;
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(create_room(&store.r, &format!("room {n}")).await.id);
        }
        let damage = format!("UPDATE rooms SET name = '' WHERE id = {}", ids[4]);
        store.place.edit(&damage).await;
        let listed = async |after, limit| {
            let list = rooms.list(after, limit).await.unwrap();
            list.iter().map(|room| room.id).collect::<Vec<_>>()
        };
        assert_eq!(listed(None, 3).await, [ids[2], ids[3], ids[5]]);
        assert_eq!(listed(Some(ids[2]), 2).await, [ids[3], ids[5]]);
        assert_eq!(listed(Some(ids[3]), 2).await, [ids[5]]);
        assert_eq!(listed(None, 9).await.len(), 5);
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
