//! The cached implementation of the port `Sessions`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Repositories, Result, RoomId, Session, Sessions};

use crate::{hit_first::hit_first, ports::CachedPorts, stale::Write};

impl CachedPorts {
    async fn load_sessions(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let load =
            move |bare: Repositories| async move { bare.sessions.list(room).await.map(Some) };
        let found = self.load(&self.regions().room_sessions, room, load).await?;
        Ok(found.unwrap_or_default())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sessions for CachedPorts {
    hit_first! {
        fn list(ports, room: RoomId) -> Result<Arc<[Session]>>;
        hit: ports
            .hit(&ports.regions().room_sessions, &room)
            .map(|found| Ok(found.unwrap_or_default())),
        miss: ports.load_sessions(room),
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        let run = move |bare: Repositories| async move {
            bare.sessions.save(room, agent, session_id).await
        };
        self.write(Write::SaveSession(room), run).await
    }
}
