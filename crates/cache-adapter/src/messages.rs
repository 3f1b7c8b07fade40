//! Messages behind the cache: the newest of each room in memory, older ones from the store.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Image, Message, MessageId, Messages, NewMessage, Result, RoomId};

use crate::{cache::Cached, stale::Write};

/// Messages that are kept of a room: what a browser shows at first.
const NEWEST: usize = 200;
/// What a message weighs besides its texts.
const MESSAGE_BYTES: usize = size_of::<Message>() + 64;

/// The newest messages of a room, complete above `after`.
#[derive(Debug)]
pub(crate) struct Window {
    after: MessageId,
    rows: Vec<Arc<Message>>,
}

impl Window {
    fn new(rows: Vec<Arc<Message>>) -> Self {
        // Fewer than asked for: it is the whole room.
        let after = if rows.len() < NEWEST { MessageId(0) } else { MessageId(rows[0].id.0 - 1) };
        Self { after, rows }
    }

    fn since(&self, after: MessageId, limit: usize) -> Option<Vec<Arc<Message>>> {
        if after < self.after {
            return None;
        }
        let from = self.rows.partition_point(|message| message.id <= after);
        Some(self.rows[from..].iter().take(limit).cloned().collect())
    }

    fn recent(&self, before: Option<MessageId>, limit: usize) -> Option<Vec<Arc<Message>>> {
        let to = before.map_or(self.rows.len(), |before| self.rows.partition_point(|message| message.id < before));
        let is_complete = to >= limit || self.after == MessageId(0);
        is_complete.then(|| self.rows[to.saturating_sub(limit)..to].to_vec())
    }

    pub(crate) fn weight(&self) -> u32 {
        let texts = |message: &Arc<Message>| {
            let calls = message.anthropic_calls.as_ref().map_or(0, |calls| calls.iter().map(String::len).sum());
            let names = message.participant_name.as_ref().map_or(0, String::len) + message.image_media_type.as_ref().map_or(0, String::len);
            MESSAGE_BYTES + message.content.len() + message.thinking.as_ref().map_or(0, String::len) + names + calls
        };
        u32::try_from(size_of::<Self>() + self.rows.iter().map(texts).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

impl Cached {
    async fn window(&self, room: RoomId) -> Result<Option<Arc<Window>>> {
        let load = move |inner: domain::Repositories| async move {
            Ok(Some(Arc::new(Window::new(inner.messages.recent(room, None, NEWEST).await?))))
        };
        self.read(&self.core.regions.room_messages, room, load).await
    }
}

#[async_trait]
impl Messages for Cached {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Vec<Arc<Message>>> {
        if !self.bypass
            && let Some(found) = self.window(room).await?.and_then(|window| window.recent(before, limit))
        {
            return Ok(found);
        }
        self.past(self.core.inner.messages.recent(room, before, limit)).await
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Vec<Arc<Message>>> {
        if !self.bypass
            && let Some(found) = self.window(room).await?.and_then(|window| window.since(after, limit))
        {
            return Ok(found);
        }
        self.past(self.core.inner.messages.since(room, after, limit)).await
    }

    async fn by_authors(&self, room: RoomId, authors: &[AgentId], after: MessageId, limit: usize) -> Result<Vec<Arc<Message>>> {
        self.past(self.core.inner.messages.by_authors(room, authors, after, limit)).await
    }

    async fn since_answer(&self, room: RoomId, agent: AgentId, limit: usize) -> Result<Vec<Arc<Message>>> {
        self.past(self.core.inner.messages.since_answer(room, agent, limit)).await
    }

    async fn count_by(&self, room: RoomId, agent: AgentId) -> Result<u64> {
        self.past(self.core.inner.messages.count_by(room, agent)).await
    }

    async fn images(&self, room: RoomId, messages: &[MessageId]) -> Result<Vec<(MessageId, Arc<Image>)>> {
        self.past(self.core.inner.messages.images(room, messages)).await
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        let write = Write::AppendMessage(new.room);
        self.write(write, |inner| async move { inner.messages.append(new).await }, |_, _, _| {}).await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        self.write(Write::ClearMessages(room), move |inner| async move { inner.messages.clear(room).await }, |_, _, _| {}).await
    }
}
