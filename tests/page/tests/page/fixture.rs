//! Servers with rooms, for the tests of the page.

use std::sync::Arc;

use domain::{Composed, Responder};
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tests::{
    client::Client,
    fake_responder::{ComposedStream, FakeResponder, is_silent, unanswered},
    server::TestServer,
};
use tokio::sync::Semaphore;

/// A server whose agents answer as a test says, and its store's folder.
pub(crate) struct Stage {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    _folder: TempDir,
}

impl Stage {
    /// Starts a server with this responder.
    pub(crate) async fn start(responder: impl Responder + 'static) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be created");
        let database = format!("sqlite:{}", folder.path().join("db").display());
        let store = app::open_store(&database, &folder.path().join("agents")).await;
        let store = store.expect("the store opens");
        let server = TestServer::start_answering(store, responder, |_| {}).await;
        let client = server.client();
        Self {
            server,
            client,
            _folder: folder,
        }
    }

    /// Creates a room with agents of these names, and returns its id.
    pub(crate) async fn room(&self, name: &str, agents: &[&str]) -> i64 {
        let room = self.client.create_room(name).await;
        for name in agents {
            let agent = self.client.create_agent(name).await;
            self.client.add_member(room, agent).await;
        }
        room
    }
}

/// A responder whose answers come piece by piece, each when the test says so.
#[derive(Clone)]
pub(crate) struct OnCommand {
    pieces: Arc<Semaphore>,
}

impl OnCommand {
    /// Returns the responder. Each answer has these pieces, and ends after them.
    pub(crate) fn new(pieces: Vec<String>) -> (FakeResponder, Self) {
        let command = Self {
            pieces: Arc::new(Semaphore::new(0)),
        };
        let gate = command.pieces.clone();
        let responder = FakeResponder::new(move |prompt| {
            if unanswered(prompt).is_none() {
                return is_silent();
            }
            answer(pieces.clone(), gate.clone())
        });
        (responder, command)
    }

    /// Lets so many pieces come.
    pub(crate) fn pieces(&self, count: usize) {
        self.pieces.add_permits(count);
    }
}

fn answer(pieces: Vec<String>, gate: Arc<Semaphore>) -> ComposedStream {
    let pieces = stream::iter(pieces).then(move |piece| {
        let gate = gate.clone();
        async move {
            let permit = gate.acquire().await.expect("the semaphore stays open");
            permit.forget();
            Ok(Composed::Text(piece))
        }
    });
    Box::pin(pieces.chain(stream::iter([Ok(Composed::Done)])))
}
