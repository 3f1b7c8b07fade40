//! Tests of the keys under which clients send messages.

use std::sync::Arc;

use domain::{Messages, NewMessage, NewRoom, RoomName, Rooms, SendKey, UserId};

use super::open;
use crate::{agent_files::disk::RealDisk, messages::sends::delete_free, sql::error::DbError};

/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Arc::new(RealDisk)).await;
    let user = UserId::admin();
    let new = NewRoom {
        owner: user.clone(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = store.create(new).await.unwrap().id;
    let with_key = |digest: &str| NewMessage {
        send_key: Some(SendKey {
            user: UserId::admin(),
            key: "k".into(),
            digest: digest.into(),
        }),
        ..NewMessage::from_user(room, "hello")
    };
    let make_older = async |micros: i64| {
        let sql = "UPDATE sent_keys SET sent_at = sent_at - $1";
        let older = store.database.write(move |tx| {
            Box::pin(async move {
                let done = tx.run_text(sql, [micros.into()]).await;
                done.map(drop).map_err(DbError::into_error)
            })
        });
        older.await.unwrap();
    };
    store.append(with_key("one")).await.unwrap();
    make_older(23 * HOUR).await;
    assert!(store.append(with_key("two")).await.is_err());
    assert_eq!(
        store.find_sent(&user, "k").await.unwrap().unwrap().digest,
        "one"
    );
    make_older(HOUR).await;
    assert!(store.find_sent(&user, "k").await.unwrap().is_none());
    store.append(with_key("two")).await.unwrap();
    assert_eq!(
        store.find_sent(&user, "k").await.unwrap().unwrap().digest,
        "two"
    );
    make_older(24 * HOUR).await;
    delete_free(&store.database).await.unwrap();
    let sql = "SELECT COUNT(*) AS count FROM sent_keys";
    let rows = store.database.read().query_text(sql, []).await.unwrap();
    let left: i64 = crate::sql::rows::first_value(&rows[0]).unwrap();
    assert_eq!(left, 0);
}
