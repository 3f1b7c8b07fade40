//! A server with one room of agents, whose answers the test defines.

use app::Settings;
use serde_json::{Value, json};
use tests::{
    client::Client, fake_responder::FakeResponder, response::id_of, server::TestServer, wait::soon,
};

use crate::stores::{Place, Store};

/// A room and its agents, on a server with a responder that answers for them.
pub(super) struct ChatFixture {
    /// The store. Dropping the store deletes its files; `None` if the caller owns the store.
    pub(super) store: Option<Store>,
    pub(super) server: TestServer,
    pub(super) client: Client,
    pub(super) room: i64,
    pub(super) agents: Vec<i64>,
}

impl ChatFixture {
    /// Starts a server on SQLite and creates a room with these agents. Each agent is given as its
    /// name and the other fields of the request that creates it.
    pub(super) async fn new(responder: &FakeResponder, agents: &[(&str, Value)]) -> Self {
        Self::with_settings(responder, agents, |_| {}).await
    }

    /// Creates a fixture as [`ChatFixture::new`] does. `change` edits the settings.
    pub(super) async fn with_settings(
        responder: &FakeResponder,
        agents: &[(&str, Value)],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let store = Place::sqlite().open().await;
        let server = TestServer::start_answering(store.r.clone(), responder.clone(), change).await;
        Self {
            store: Some(store),
            ..Self::on_server(server, agents).await
        }
    }

    /// Returns the room of another client in this server, with the first agent in it.
    pub(super) async fn room_of(&self, client: &Client, name: &str) -> i64 {
        let room = client.create_room(name).await;
        client.add_member(room, self.agents[0]).await;
        room
    }

    /// Creates a room with these agents on a server whose store the caller owns.
    pub(super) async fn on_server(server: TestServer, agents: &[(&str, Value)]) -> Self {
        let client = server.client();
        let room = client.create_room("tea").await;
        let mut chat = Self {
            store: None,
            server,
            client,
            room,
            agents: Vec::new(),
        };
        for (name, fields) in agents {
            chat.add_agent(name, fields.clone()).await;
        }
        chat
    }

    /// Creates an agent and adds it to the room.
    pub(super) async fn add_agent(&mut self, name: &str, fields: Value) {
        let agent = self.client.create_agent_with(name, fields).await;
        self.client.add_member(self.room, agent).await;
        self.agents.push(agent);
    }

    /// Returns the room's path with `rest` appended.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/rooms/{}{rest}", self.room)
    }

    /// Sends a user's message and returns its id.
    pub(super) async fn send(&self, content: &str) -> i64 {
        self.send_mentioning(content, &[]).await
    }

    /// Sends a user's message that mentions these agents, and returns its id.
    pub(super) async fn send_mentioning(&self, content: &str, mentioned: &[i64]) -> i64 {
        let body = json!({ "content": content, "role": "user", "mentioned_agent_ids": mentioned });
        let path = self.path("/messages/send");
        self.client.post(&path, body).await.id()
    }

    /// Sends a user's message and waits until the agents have finished answering.
    pub(super) async fn converse(&self, content: &str) {
        self.send(content).await;
        self.wait_until_over().await;
    }

    /// Sets the room's limit on the number of answers.
    pub(super) async fn limit_answers(&self, limit: u32) {
        let body = json!({ "max_interactions": limit });
        self.client.patch(&self.path(""), body).await.ok();
    }

    /// Waits until the agents have finished answering in every room.
    pub(super) async fn wait_until_over(&self) {
        self.server.wait_for_answers().await;
    }

    /// Returns the messages of the room, oldest first.
    pub(super) async fn messages(&self) -> Vec<Value> {
        let path = self.path("/messages?limit=1000");
        self.client.get(&path).await.items()
    }

    /// Returns the author of each message, oldest first: an agent's name or "user".
    pub(super) async fn authors(&self) -> Vec<String> {
        let author = |message: Value| message["agent_name"].as_str().unwrap_or("user").to_owned();
        self.messages().await.into_iter().map(author).collect()
    }

    /// Returns the text of each message, oldest first.
    pub(super) async fn texts(&self) -> Vec<String> {
        let text = |message: Value| message["content"].as_str().unwrap().to_owned();
        self.messages().await.into_iter().map(text).collect()
    }

    /// Requests the room and returns the response's body.
    pub(super) async fn shown_room(&self) -> Value {
        self.client.get(&self.path("")).await.ok()
    }

    /// Waits until the room shows `text` as the unfinished answer of an agent. `agent` is an index
    /// into the fixture's agents.
    pub(super) async fn wait_until_composing(&self, agent: usize, text: &str) {
        let is_shown = async {
            loop {
                let chatting = self.client.get(&self.path("/chatting-agents")).await.ok();
                let drafts = chatting["chatting_agents"].as_array().unwrap();
                if drafts.iter().any(|draft| {
                    id_of(draft) == self.agents[agent] && draft["response_text"] == json!(text)
                }) {
                    return;
                }
            }
        };
        soon(&format!("an agent composes {text:?}"), is_shown).await;
    }

    /// Stops the server, then deletes the store.
    pub(super) async fn end(self) {
        self.server.end().await;
        drop(self.store);
    }
}
