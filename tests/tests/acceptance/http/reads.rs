//! The reads of a run.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tests::{
    client::{CacheMode, Client},
    staleness::{ItemKind, ReadView, Verdict, WrongRead},
};

use super::{
    plan::WriteTarget,
    world::{AGENTS, World},
};

/// A request and the part of the state that its response shows.
pub(super) struct Read {
    path: String,
    view: ReadView,
}

impl World {
    /// Draws a read whose response shows the target of a write, or sometimes other data.
    pub(super) fn choose_read(&self, target: WriteTarget) -> Read {
        let target = match self.random.below(16) {
            0 => WriteTarget::Room(self.draw_room()),
            1 => WriteTarget::Members(self.draw_room()),
            2 => WriteTarget::Log(self.draw_room()),
            3 => WriteTarget::Agent(self.random.below(AGENTS)),
            _ => target,
        };
        let state = self.state();
        let dice = self.random.below(10);
        let room_path = |room: usize| format!("/rooms/{}", state.rooms[room].id);
        let rooms = ("/rooms".to_owned(), ReadView::Rooms);
        let agents = ("/agents".to_owned(), ReadView::Agents);
        let (path, view) = match target {
            WriteTarget::Room(_) if dice < 5 => rooms,
            WriteTarget::Log(room) if dice < 8 => {
                let since = match dice {
                    0 => 0,
                    _ => state.rooms[room].log.sample(&self.random),
                };
                let path = room_path(room);
                (
                    format!("{path}/messages/poll?since_id={since}&limit=1000"),
                    ReadView::Log { room, since },
                )
            }
            WriteTarget::Log(room) if dice < 9 => (
                format!("{}/messages", room_path(room)),
                ReadView::Log { room, since: 0 },
            ),
            WriteTarget::Members(room) if dice < 6 => (
                format!("{}/agents", room_path(room)),
                ReadView::Members(room),
            ),
            WriteTarget::Room(room) | WriteTarget::Members(room) | WriteTarget::Log(room) => {
                (room_path(room), ReadView::Room(room))
            }
            WriteTarget::Agent(_) if dice < 1 => agents,
            WriteTarget::Agent(agent) => (
                ItemKind::Agent.path(state.agents[agent].id),
                ReadView::Agent(agent),
            ),
            WriteTarget::Transient { kind, .. } if dice < 3 => match kind {
                ItemKind::Room => rooms,
                ItemKind::Agent => agents,
            },
            WriteTarget::Transient { kind, id } => {
                // Sometimes reads the id that the next created item will have, so that its absence
                // may be cached.
                let id = if dice < 5 { id + 1 } else { id };
                (kind.path(id), ReadView::Transient { kind, id })
            }
        };
        Read { path, view }
    }

    /// Sends a read and checks its response.
    pub(super) async fn read(&self, client: &Client, read: &Read, mode: CacheMode) -> Verdict {
        let Read { path, view } = read;
        let before = self.state();
        let response = client.call_in(mode, Method::GET, path, None).await;
        let shown = match (view, response.status) {
            (_, StatusCode::OK) => response.json(),
            (ReadView::Transient { .. }, StatusCode::NOT_FOUND) => Value::Null,
            (_, status) => return Err(WrongRead::Malformed(format!("GET {path}: {status}"))),
        };
        self.counts().reads += 1;
        self.with_state(|state| state.check_read(&before, *view, &shown))
            .map_err(|wrong| wrong.in_context(&format!("GET {path}, {mode:?}")))
    }
}
