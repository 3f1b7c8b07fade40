//! The writes of a run.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    client::{Client, body_text},
    response::id_of,
    staleness::{ItemKind, ReadView, TransientItem, Version, WrittenState, WrongRead},
};

use super::{
    plan::{WriteKind, WriteTarget},
    world::{AGENTS, World},
};

impl World {
    /// Runs one write, and returns the part of the state that it changed.
    pub(super) async fn write(
        &self,
        client: &Client,
        kind: WriteKind,
    ) -> Result<WriteTarget, WrongRead> {
        let target = match kind {
            WriteKind::Message => self.send(client).await,
            WriteKind::Room => self.change_room(client).await,
            WriteKind::Membership => self.change_membership(client).await,
            WriteKind::Agent => self.change_agent(client).await,
            WriteKind::Other => match self.random.below(10) {
                0..4 => self.clear(client).await,
                4..7 => self.create(client).await,
                _ => self.delete(client).await,
            },
        }?;
        self.counts().writes += 1;
        Ok(target)
    }

    async fn send(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let room = self.draw_room();
        let _writer = self.rooms[room].log.read().await;
        let (id, epoch) =
            self.with_state(|state| (state.rooms[room].id, state.rooms[room].log.begun));
        let path = format!("/rooms/{id}/messages/send");
        let body = json!({ "content": epoch.to_string(), "role": "user" });
        let sent = call(client, Method::POST, &path, body).await?;
        self.with_state(|state| state.rooms[room].log.sent(id_of(&sent)));
        Ok(WriteTarget::Log(room))
    }

    async fn clear(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let room = self.draw_room();
        let _writer = self.rooms[room].log.write().await;
        let (id, epoch) = self.with_state(|state| {
            state.rooms[room].log.begun += 1;
            (state.rooms[room].id, state.rooms[room].log.begun)
        });
        let path = format!("/rooms/{id}/messages");
        call(client, Method::DELETE, &path, Value::Null).await?;
        self.with_state(|state| state.rooms[room].log.cleared(epoch));
        Ok(WriteTarget::Log(room))
    }

    async fn change_room(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let (room, field) = (self.draw_room(), self.random.below(3));
        let _writer = self.rooms[room].fields[field].lock().await;
        let before = self.state();
        let version = self.with_state(|state| room_field(state, room, field).begin());
        let path = format!("/rooms/{}", before.rooms[room].id);
        let body = match (field, version % 2 == 1) {
            (0, _) => json!({ "name": WrittenState::room_name(room, version) }),
            (1, _) => json!({ "max_interactions": version }),
            (_, true) => Value::Null,
            (_, false) => json!({ "is_paused": false }),
        };
        let shown = if body.is_null() {
            call(client, Method::POST, &format!("{path}/pause"), body).await
        } else {
            call(client, Method::PATCH, &path, body).await
        }?;
        self.with_state(|state| {
            room_field(state, room, field).end(version);
            state.check_read(&before, ReadView::Room(room), &shown)
        })?;
        Ok(WriteTarget::Room(room))
    }

    async fn change_membership(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let (room, agent) = (self.draw_room(), self.random.below(AGENTS));
        let _writer = self.rooms[room].members[agent].lock().await;
        let (path, version) = self.with_state(|state| {
            let (room_id, agent_id) = (state.rooms[room].id, state.agents[agent].id);
            let path = format!("/rooms/{room_id}/agents/{agent_id}");
            (path, state.rooms[room].members[agent].begin())
        });
        let method = if version % 2 == 1 {
            Method::POST
        } else {
            Method::DELETE
        };
        call(client, method, &path, Value::Null).await?;
        self.with_state(|state| state.rooms[room].members[agent].end(version));
        Ok(WriteTarget::Members(room))
    }

    async fn change_agent(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let (agent, field) = (self.random.below(AGENTS), self.random.below(4));
        let _writer = self.agents[agent][field].lock().await;
        let (id, version) = self.with_state(|state| {
            let version = agent_field(state, agent, field).begin();
            (state.agents[agent].id, version)
        });
        let (method, path) = match field {
            3 => (Method::POST, format!("/agents/{id}/memory")),
            _ => (Method::PATCH, format!("/agents/{id}")),
        };
        let body = match field {
            0 => json!({ "in_a_nutshell": format!("v{version}") }),
            1 => json!({ "characteristics": format!("v{version}") }),
            2 => json!({ "priority": version }),
            _ => json!({ "text": format!("m{version}") }),
        };
        call(client, method, &path, body).await?;
        self.with_state(|state| agent_field(state, agent, field).end(version));
        Ok(WriteTarget::Agent(agent))
    }

    async fn create(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let (kind, path) = if self.random.percent(60) {
            (ItemKind::Room, "/rooms")
        } else {
            (ItemKind::Agent, "/agents")
        };
        let name = format!("transient {}", self.random.below(usize::MAX));
        let created = call(client, Method::POST, path, json!({ "name": name })).await?;
        let id = id_of(&created);
        self.with_state(|state| {
            state.transients.push(TransientItem {
                kind,
                id,
                is_deleting: false,
                is_deleted: false,
            });
        });
        Ok(WriteTarget::Transient { kind, id })
    }

    /// Deletes the oldest transient item, or creates one if there is none.
    async fn delete(&self, client: &Client) -> Result<WriteTarget, WrongRead> {
        let found = self.with_state(|state| {
            let mut transients = state.transients.iter();
            let index = transients.position(|item| !item.is_deleting)?;
            state.transients[index].is_deleting = true;
            Some((index, state.transients[index]))
        });
        let Some((index, TransientItem { kind, id, .. })) = found else {
            return self.create(client).await;
        };
        call(client, Method::DELETE, &kind.path(id), Value::Null).await?;
        self.with_state(|state| state.transients[index].is_deleted = true);
        Ok(WriteTarget::Transient { kind, id })
    }
}

fn room_field(state: &mut WrittenState, room: usize, field: usize) -> &mut Version {
    let room = &mut state.rooms[room];
    match field {
        0 => &mut room.name,
        1 => &mut room.limit,
        _ => &mut room.paused,
    }
}

fn agent_field(state: &mut WrittenState, agent: usize, field: usize) -> &mut Version {
    let agent = &mut state.agents[agent];
    match field {
        0 => &mut agent.nutshell,
        1 => &mut agent.characteristics,
        2 => &mut agent.priority,
        _ => &mut agent.memory,
    }
}

/// Sends a write and returns the response's body. Panics if the server does not accept the write.
async fn call(
    client: &Client,
    method: Method,
    path: &str,
    body: Value,
) -> Result<Value, WrongRead> {
    let response = client.call(method.clone(), path, body_text(&body)).await;
    if response.status == StatusCode::OK {
        return Ok(response.json());
    }
    Err(WrongRead::Malformed(format!(
        "{method} {path}: {} {}",
        response.status,
        response.text()
    )))
}
