//! A server on loopback, and a connection to it.

use std::sync::{Arc, Mutex};

use domain::{MessageId, RoomId};
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::workload_bench::WorkloadBench;
use crate::connection::Connection;

/// A server on loopback with one connection.
pub(super) struct LoopbackServer {
    connection: Arc<Mutex<Connection>>,
}

impl LoopbackServer {
    /// Starts a server for the program of a workload, and connects to it. The server runs until the
    /// runtime ends.
    pub(super) async fn start(bench: &WorkloadBench) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let router = app::router(bench.app.clone(), &bench.settings);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let token = bench.app.auth.issue(&app::Caller::admin());
        let connection = Connection::open(address, &token);
        Self {
            connection: Arc::new(Mutex::new(connection)),
        }
    }

    /// Requests a path and returns the body of the response.
    pub(super) async fn get(&self, path: String) -> Vec<u8> {
        let connection = self.connection.clone();
        let request = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().expect("no request has panicked");
            connection.get(&path).body
        });
        request.await.expect("the request does not panic")
    }

    /// Polls a room. Returns the id of the newest message; `None` if there is no new message.
    pub(super) async fn poll(&self, room: RoomId, since: MessageId) -> Option<MessageId> {
        let path = format!("/rooms/{room}/messages/poll?since_id={since}");
        let body = self.get(path).await;
        let messages: Vec<Value> =
            serde_json::from_slice(&body).expect("the response is a JSON list");
        messages
            .last()
            .map(|message| MessageId(message["id"].as_i64().expect("an id is a number")))
    }
}
