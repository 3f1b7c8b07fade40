//! The events of one stream: each message once and in order, and the room's state when it changes.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use axum::{body::Bytes, response::sse::Event};
use cache_adapter::ListenTarget;
use cache_core::Listener;
use domain::{Message, MessageId, RoomId, Seq};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{access::Access, chatting::chatting_agents, error::ApiResult, rendered::Json};

/// The minimum time between two `chatting` events. A model may send a word every few milliseconds;
/// ten updates a second look continuous.
const DRAFT_INTERVAL: Duration = Duration::from_millis(100);
/// The number of messages that are read at once. The next ones are read only after the client has
/// received these, which bounds the memory for a slow client.
const MESSAGES_AT_ONCE: usize = 100;

/// The state of one stream: its position in the log, and its listeners.
pub(super) struct Feed {
    access: Access,
    room: RoomId,
    position: Position,
    ready: VecDeque<Event>,
    messages: Listener,
    changes: Listener,
    members: Listener,
    agents: Vec<Listener>,
    /// The text of the last `agents` event. One change of an agent may notify several listeners, of
    /// its identity and its persona, one after the other.
    last_members: Json,
    drafts: watch::Receiver<()>,
    /// The earliest time of the next `chatting` event.
    drafts_after: Instant,
    due: Due,
}

/// The client's position in the log: the last message that the client received, and the last
/// sequence number that it was notified of.
///
/// A clear has a sequence number too. So if the next message does not have the next sequence
/// number, the log was cleared.
#[derive(Clone, Copy)]
struct Position {
    id: MessageId,
    seq: Seq,
}

impl Position {
    const START: Self = Self {
        id: MessageId(0),
        seq: Seq(0),
    };
}

/// The events that are due: their data must be read and sent.
#[derive(Clone, Copy, Debug)]
struct Due {
    room: bool,
    members: bool,
    chatting: bool,
}

impl Due {
    const ALL: Self = Self {
        room: true,
        members: true,
        chatting: true,
    };
    const NONE: Self = Self {
        room: false,
        members: false,
        chatting: false,
    };
}

impl Feed {
    /// Creates a feed that begins after the message `last`, or after the newest message if `last`
    /// is `None`.
    pub(super) async fn begin(
        access: Access,
        room: RoomId,
        last: Option<MessageId>,
    ) -> ApiResult<Self> {
        let cache = &access.app.cache;
        // Listening begins before the reads, so that no write in between is missed.
        let messages = cache.listen(ListenTarget::Messages(room));
        let changes = cache.listen(ListenTarget::Room(room));
        let members = cache.listen(ListenTarget::Members(room));
        let drafts = access.app.conversations.listen(room);
        let mut ready = VecDeque::new();
        let position = match last {
            None => newest(&access, room).await?,
            Some(last) => {
                if let Some(position) = find(&access, room, last).await? {
                    position
                } else {
                    // The message is gone, so the log was cleared. All messages now in the log are
                    // new to the client.
                    ready.push_back(cleared(room));
                    Position::START
                }
            }
        };
        Ok(Self {
            access,
            room,
            position,
            ready,
            messages,
            changes,
            members,
            agents: Vec::new(),
            last_members: Json::default(),
            drafts,
            drafts_after: Instant::now(),
            due: Due::ALL,
        })
    }

    /// Waits for the next event.
    ///
    /// Returns `None` if the room is deleted, no longer admits the caller or cannot be read, or if
    /// the server stops. The client then connects again with the id of its last message.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.read().await.ok()?;
            if self.ready.is_empty() {
                self.changed().await?;
            }
        }
    }

    /// Waits for a change and records which events are due. Returns `None` when the server stops.
    async fn changed(&mut self) -> Option<()> {
        let stopping = self.access.app.stopping.clone();
        // The fields are borrowed separately, because the two futures below change different ones.
        let Self {
            messages,
            changes,
            members,
            agents,
            drafts,
            drafts_after,
            due,
            ..
        } = self;
        let rung = poll_fn(|context| {
            let is_message = messages.poll_rung(context).is_ready();
            let is_room = changes.poll_rung(context).is_ready();
            let mut is_member = members.poll_rung(context).is_ready();
            // Every listener is polled, because only a polled listener wakes this task later.
            for agent in agents.iter_mut() {
                is_member |= agent.poll_rung(context).is_ready();
            }
            due.room |= is_room;
            due.members |= is_member;
            if is_message || is_room || is_member {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let draft = async {
            tokio::time::sleep_until(*drafts_after).await;
            drafts.changed().await
        };
        let is_draft = tokio::select! {
            () = rung => false,
            Ok(()) = draft => true,
            () = stopping.cancelled() => return None,
        };
        if is_draft {
            self.drafts_after = Instant::now() + DRAFT_INTERVAL;
            self.due.chatting = true;
        }
        Some(())
    }

    /// Reads the data of the due events and the messages after the position. Adds their events to
    /// `ready`.
    async fn read(&mut self) -> ApiResult<()> {
        let room = self.access.room(self.room).await?;
        let due = std::mem::replace(&mut self.due, Due::NONE);
        if due.room {
            let access = &self.access;
            let text = access.renderer().room(&room, access.user()).await?;
            self.ready.push_back(event("room", text));
        }
        if due.members {
            self.listen_to_members().await?;
            let text = self.access.renderer().members(self.room).await?;
            if text != self.last_members {
                self.last_members = text.clone();
                self.ready.push_back(event("agents", text));
            }
        }
        if due.chatting {
            let text = chatting_agents(&self.access.app.conversations, self.room);
            self.ready.push_back(event("chatting", text));
        }
        let messages = &self.access.ports().messages;
        let page = messages
            .since(self.room, self.position.id, MESSAGES_AT_ONCE)
            .await?;
        for message in &page {
            self.push_message(message).await?;
        }
        if page.is_empty() {
            self.push_clear().await?;
        }
        Ok(())
    }

    /// Replaces the listeners for agents by listeners for the agents that are now in the room. The
    /// caller must read the agents afterwards, so that no change is missed.
    async fn listen_to_members(&mut self) -> ApiResult<()> {
        let members = self.access.ports().rooms.members(self.room).await?;
        let cache = &self.access.app.cache;
        self.agents = members
            .iter()
            .flat_map(|member| {
                [
                    ListenTarget::Agent(member.agent),
                    ListenTarget::Config(member.agent),
                ]
            })
            .map(|topic| cache.listen(topic))
            .collect();
        Ok(())
    }

    async fn push_message(&mut self, message: &Arc<Message>) -> ApiResult<()> {
        let is_gap = message.seq > Seq(self.position.seq.0 + 1);
        if is_gap && self.position.seq > Seq(0) {
            self.ready.push_back(cleared(self.room));
        }
        let text = self.access.renderer().message(self.room, message).await?;
        let event = event("message", text).id(message.id.to_string());
        self.ready.push_back(event);
        self.position = Position {
            id: message.id,
            seq: message.seq,
        };
        Ok(())
    }

    /// Adds a `cleared` event if the log was cleared and has no message since. A clear has a
    /// sequence number too, by which it is detected.
    async fn push_clear(&mut self) -> ApiResult<()> {
        let rooms = &self.access.ports().rooms;
        let activity = rooms.activity(self.room).await?.unwrap_or_default();
        let seq = self.position.seq;
        if activity.last_seq > seq && activity.last_message_seq <= seq {
            if seq > Seq(0) {
                self.ready.push_back(cleared(self.room));
            }
            self.position.seq = activity.last_seq;
        }
        Ok(())
    }
}

/// Returns the position at the end of the log.
async fn newest(access: &Access, room: RoomId) -> ApiResult<Position> {
    let page = access.ports().messages.recent(room, None, 1).await?;
    if let Some(newest) = page.last() {
        return Ok(Position {
            id: newest.id,
            seq: newest.seq,
        });
    }
    let activity = access.ports().rooms.activity(room).await?;
    Ok(Position {
        seq: activity.unwrap_or_default().last_seq,
        ..Position::START
    })
}

/// Returns the position of a message; `None` if the message is no longer in the log. Id 0 is the
/// position before the first message.
async fn find(access: &Access, room: RoomId, id: MessageId) -> ApiResult<Option<Position>> {
    let above = Some(MessageId(id.0.saturating_add(1)));
    let page = access.ports().messages.recent(room, above, 1).await?;
    Ok(match page.last() {
        Some(message) if message.id == id => Some(Position {
            id,
            seq: message.seq,
        }),
        _ if id == MessageId(0) => Some(Position::START),
        _ => None,
    })
}

fn event(name: &str, json: impl Into<Bytes>) -> Event {
    let json = json.into();
    let text = str::from_utf8(&json).expect("JSON is UTF-8");
    Event::default().event(name).data(text)
}

fn cleared(room: RoomId) -> Event {
    event("cleared", Json::new(&json!({ "room_id": room.0 })))
}
