//! Tests of the deletion of cleared rooms' messages in the background.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use domain::{Image, MessageId, Messages, NewMessage, NewRoom, RoomId, RoomName, Rooms, UserId};

use super::open;
use crate::{
    agent_files::disk::RealDisk,
    sql::{error::DbError, rows::first_value},
    store::SqlStore,
};

/// More messages than one transaction of the purge deletes.
const MESSAGES: i64 = 2_500;

/// Creates a room with [`MESSAGES`] messages, and an image in the first one.
async fn create_long_room(store: &SqlStore) -> RoomId {
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = store.create(new).await.unwrap().id;
    let image = Image {
        media_type: "image/png".into(),
        data: "aGVsbG8=".into(),
    };
    let first = NewMessage {
        image: Some(image),
        ..NewMessage::from_user(room, "first")
    };
    store.append(first).await.unwrap();
    let insert = "INSERT INTO messages (room_id, seq, content, role, timestamp) \
                  WITH RECURSIVE numbers (n) AS \
                  (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < $2) \
                  SELECT $1, n, 'message ' || n, 'user', 0 FROM numbers";
    let update = "UPDATE rooms SET last_seq = $2, last_message_seq = $2, message_count = $2 \
                  WHERE id = $1";
    store
        .database
        .write(move |tx| {
            Box::pin(async move {
                for sql in [insert, update] {
                    let done = tx.run_text(sql, [room.0.into(), MESSAGES.into()]).await;
                    done.map_err(DbError::into_error)?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    room
}

async fn count(store: &SqlStore, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) AS count FROM {table}");
    let rows = store.database.read().query_text(&sql, []).await.unwrap();
    first_value(&rows[0]).unwrap()
}

async fn wait_for(store: &SqlStore, table: &str, rows: i64) {
    let waiting = async {
        while count(store, table).await != rows {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("{table} does not get {rows} rows"));
}

#[tokio::test]
async fn a_cleared_room_is_empty_at_once_and_its_rows_are_deleted_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    let room = create_long_room(&store).await;
    let cleared = Messages::clear(&store, room).await.unwrap();
    assert_eq!(cleared, MESSAGES.unsigned_abs());
    assert!(count(&store, "messages").await > 0);
    assert!(store.recent(room, None, 10).await.unwrap().is_empty());
    let all = store.since(room, MessageId(0), 10).await.unwrap();
    assert!(all.is_empty());
    let image = store.images(room, &[MessageId(1)]).await.unwrap();
    assert!(image.is_empty());
    // The purge deletes none of the messages after the clear.
    let new = store.append(NewMessage::from_user(room, "new")).await;
    let new = new.unwrap();
    wait_for(&store, "messages", 1).await;
    assert_eq!(count(&store, "images").await, 0);
    wait_for(&store, "rooms WHERE has_garbage", 0).await;
    assert_eq!(store.recent(room, None, 10).await.unwrap()[..], [new]);
    assert_eq!(Messages::clear(&store, room).await, Ok(1));
    wait_for(&store, "messages", 0).await;
}

#[tokio::test]
async fn the_row_of_a_deleted_room_is_deleted_after_its_messages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    let room = create_long_room(&store).await;
    Rooms::delete(&store, room).await.unwrap();
    assert!(count(&store, "messages").await > 0);
    assert_eq!(Rooms::find(&store, room).await, Ok(None));
    assert_eq!(store.end(room, 10).await, Ok(None));
    let append = store.append(NewMessage::from_user(room, "late")).await;
    assert_eq!(append, Err(domain::Error::missing("room", room)));
    // The name is free at once.
    let again = create_long_room(&store).await;
    assert_ne!(again, room);
    wait_for(&store, "rooms", 1).await;
    assert_eq!(count(&store, "messages").await, MESSAGES);
}

#[tokio::test]
async fn an_interrupted_purge_continues_when_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    let room = create_long_room(&store).await;
    Messages::clear(&store, room).await.unwrap();
    // On this runtime, the purge has not run since the clear returned.
    drop(store);
    // Lets the task end.
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        context.waker().wake_by_ref();
        if polls < 10 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    assert!(count(&store, "messages").await > 0);
    store.purge.resume(&store.database).await.unwrap();
    wait_for(&store, "messages", 0).await;
    wait_for(&store, "rooms WHERE has_garbage", 0).await;
}
