//! Heap bytes of ten thousand waiting clients.

use std::{sync::Arc, time::Duration};

use cache_adapter::{Cache, ListenTarget, Options};
use cache_core::Clock;
use contract::memory;
use domain::{NewMessage, RoomId, UserId};
use futures_util::{FutureExt, future::select_all};
use stats_alloc::Region;
use tests::records::new_room;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};

use crate::{HEAP, held_bytes};

const ROOM: RoomId = RoomId(1);

#[tokio::test]
async fn ten_thousand_registrations_and_timers_cost_at_most_a_kibibyte_each() {
    const CLIENTS: usize = 10_000;
    let _guard = crate::run_alone().await;
    let cache = Cache::new(memory::repositories(), Options::default());
    let region = Region::new(HEAP);
    let mut waits: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut listener, late) = (
                cache.listen(ListenTarget::Messages(ROOM)),
                cache.manager.clock().sleep(Duration::from_secs(30)),
            );
            async move {
                tokio::select! { () = listener.rung() => {}, () = late => {} }
            }
            .boxed()
        })
        .collect();
    for wait in &mut waits {
        assert!(wait.now_or_never().is_none());
    }
    let each = held_bytes(&region) / CLIENTS;
    tests::report(
        "costs.txt",
        &format!("registration and timer of a waiting client take {each} bytes"),
    );
    // A waker, an entry in a list and a timer take at least 64 bytes. A smaller result means that
    // the measurement missed some of them.
    assert!(
        (64..=1_024).contains(&each),
        "64 to 1,024 bytes are expected, not {each}"
    );
    drop(select_all(waits));
    assert_eq!(cache.message_listeners(ROOM), 0);
}

#[tokio::test]
async fn one_write_answers_ten_thousand_clients_that_wait_over_http() {
    const CLIENTS: usize = 10_000;
    let _guard = crate::run_alone().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = tests::server::settings(folder.path());
    let app = tests::server::app_over(memory::repositories(), &settings, Clock::real());
    let ports = &app.cache.repositories;
    let new = new_room(UserId::admin(), "full");
    let room = ports.rooms.create(new).await.unwrap().id;
    let (connect, connected) = mpsc::unbounded_channel();
    let router = app::router(app.clone(), &settings);
    let served = tokio::spawn(axum::serve(DuplexListener(connected), router).into_future());
    let mut connections = Vec::new();
    let token = app.auth.issue(&app::Caller::admin());
    let request = |wait: u32| {
        format!(
            "GET /rooms/{room}/messages/poll?since_id=0&wait={wait} HTTP/1.1\r\nhost: x\r\n\
             x-api-key: {token}\r\n\r\n"
        )
    };
    for _ in 0..CLIENTS {
        let (mut connection, server_end) = duplex(4_096);
        connect.send(server_end).unwrap();
        connection.write_all(request(0).as_bytes()).await.unwrap();
        assert!(read_response(&mut connection).await.ends_with("[]"));
        connections.push(connection);
    }
    let region = Region::new(HEAP);
    for connection in &mut connections {
        connection.write_all(request(30).as_bytes()).await.unwrap();
    }
    while app.cache.message_listeners(room) < CLIENTS {
        tokio::task::yield_now().await;
    }
    let each = held_bytes(&region) / CLIENTS;
    tests::report(
        "costs.txt",
        &format!(
            "a client waiting over HTTP takes {each} bytes more than the same connection idle, \
             including the handler's future"
        ),
    );
    assert!(
        each <= 8_192,
        "at most 8,192 bytes are expected, not {each}"
    );
    let sent = ports
        .messages
        .append(NewMessage::from_user(room, "hi"))
        .await
        .unwrap();
    for connection in &mut connections {
        let response = read_response(connection).await;
        assert!(response.contains(&format!("[{{\"id\":{}", sent.id)));
    }
    assert_eq!(app.cache.message_listeners(room), 0);
    served.abort();
    drop((connections, connect));
    // The next test counts bytes, so these connections must be freed before it begins.
    while Arc::strong_count(&app) > 1 {
        tokio::task::yield_now().await;
    }
}

/// A listener for in-memory connections. Ten thousand sockets would exceed the usual limit of a
/// thousand open files.
struct DuplexListener(mpsc::UnboundedReceiver<DuplexStream>);

impl axum::serve::Listener for DuplexListener {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(connection) => (connection, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns the next response on a connection, head and body.
async fn read_response(connection: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text[..head].lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            });
            let length: usize = length
                .expect("the response has a Content-Length")
                .parse()
                .unwrap();
            if bytes.len() >= head + 4 + length {
                return text;
            }
        }
        let mut more = [0; 4_096];
        let read = connection.read(&mut more).await.unwrap();
        assert!(read > 0, "the connection was closed after {text}");
        bytes.extend_from_slice(&more[..read]);
    }
}
