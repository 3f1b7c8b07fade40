//! An example of a test with a mock: it replaces one port of the in-memory backend by a mock, and
//! builds the program with the result.

use std::sync::Arc;

use app::{Auth, Caller, Flags, Responders, Settings};
use axum::{body::Body, http::Request};
use cache_core::Runtime;
use contract::memory;
use domain::{Error, LogEnd, MockMessages, NewRoom, Repositories, RoomName, Seq, UserId};
use mockall::predicate::eq;
use tower::ServiceExt;

/// Returns the in-memory backend with its port `Messages` replaced by a mock, and the id of a room
/// in it.
async fn with_messages(messages: MockMessages) -> (Repositories, i64) {
    let store = Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    };
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = store.rooms.create(new).await.unwrap().id.0;
    (store, room)
}

/// Sends two requests for `path` to a server that uses `store`. Returns both statuses.
async fn get_twice(store: Repositories, path: String) -> [u16; 2] {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::read(Flags::default()).unwrap();
    settings.auth.credentials = folder.path().join("credentials.yaml");
    let auth = Auth::open(&settings).unwrap();
    let token = auth.issue(&Caller::admin());
    let app = Arc::new(app::with_store(
        store,
        &settings,
        auth,
        Responders::default(),
        Runtime::tokio(),
    ));
    let router = app::router(app, &settings);
    let mut statuses = [0; 2];
    for status in &mut statuses {
        let request = Request::get(&path)
            .header("x-api-key", &token)
            .body(Body::empty())
            .unwrap();
        *status = router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16();
    }
    statuses
}

#[tokio::test]
async fn a_room_polled_twice_reads_its_messages_from_the_store_once() {
    let mut messages = MockMessages::new();
    let empty = LogEnd {
        last_seq: Seq(0),
        messages: Vec::new(),
    };
    messages
        .expect_end()
        .with(eq(domain::RoomId(1)), eq(200))
        .times(1)
        .returning(move |_, _| Ok(Some(empty.clone())));
    let (store, room) = with_messages(messages).await;
    assert_eq!(
        get_twice(store, format!("/rooms/{room}/messages/poll?since_id=0")).await,
        [200, 200]
    );
}

#[tokio::test]
async fn a_store_that_fails_is_read_again_and_reported_as_503() {
    let mut messages = MockMessages::new();
    messages
        .expect_end()
        .times(2)
        .returning(|_, _| Err(Error::unavailable("on purpose")));
    let (store, room) = with_messages(messages).await;
    assert_eq!(
        get_twice(store, format!("/rooms/{room}/messages/poll")).await,
        [503, 503]
    );
}
