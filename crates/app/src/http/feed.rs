//! The events of one stream: each message once and in order, and the room's state when it changes.

use std::{collections::VecDeque, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use cache_adapter::ListenTarget;
use cache_core::Listener;
use domain::{Activity, MessageId, Page, RoomId, Seq};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{
    access::Access,
    draft_events::DraftEvents,
    error::ApiResult,
    rendered::{Json, Kept, Renderer, fitting},
    sse_event::{Event, event},
};
use crate::bounds::{WaitPermit, hold};

/// The minimum time between two `chatting` events. A model may send a word every few milliseconds;
/// ten updates a second look continuous.
const DRAFT_INTERVAL: Duration = Duration::from_millis(100);
/// The number of messages that are read at once. The next ones are read only after the client has
/// received these, which bounds the memory for a slow client.
const MESSAGES_AT_ONCE: usize = 100;

/// The events that a client wants.
pub(super) struct FeedRequest {
    pub(super) room: RoomId,
    /// The client's last message; `None` to begin after the newest.
    pub(super) last: Option<MessageId>,
    pub(super) drafts: DraftEvents,
    /// `false` if messages name their images without containing them.
    pub(super) wants_images: bool,
}

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
    draft_events: DraftEvents,
    wants_images: bool,
    /// The earliest time of the next `chatting` event.
    drafts_after: Instant,
    due: Due,
    /// The time at which the stream ends. Its client then connects again, so that each connection
    /// is checked and counted anew.
    ends_at: Instant,
    _permit: WaitPermit,
}

/// The client's position in the log: the last message that the client received, and the last clear
/// and the last removal that it was notified of.
#[derive(Clone, Copy)]
struct Position {
    id: MessageId,
    cleared: Seq,
    removed: Seq,
}

impl Position {
    /// Returns the position of a client that knows the log up to the message `id`.
    fn after(id: MessageId, activity: &Activity) -> Self {
        Self {
            id,
            cleared: activity.cleared_seq,
            removed: activity.removed_seq,
        }
    }
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
    /// Creates a feed that begins at the position of the client.
    pub(super) async fn begin(
        access: Access,
        request: FeedRequest,
        permit: WaitPermit,
    ) -> ApiResult<Self> {
        let FeedRequest {
            room,
            last,
            drafts,
            wants_images,
        } = request;
        let ends_at = Instant::now() + access.app.limits().stream_time;
        let cache = &access.app.cache;
        // Listening begins before the reads, so that no write in between is missed.
        let messages = cache.listen(ListenTarget::Messages(room));
        let changes = cache.listen(ListenTarget::Room(room));
        let members = cache.listen(ListenTarget::Members(room));
        let changed_drafts = access.app.conversations.listen(room);
        let mut ready = VecDeque::new();
        let activity = access
            .ports()
            .rooms
            .activity(room)
            .await?
            .unwrap_or_default();
        let position = match last {
            None => {
                let newest = access.ports().messages.recent(room, None, 1).await?;
                let id = newest.last().map_or(MessageId(0), |newest| newest.id);
                Position::after(id, &activity)
            }
            Some(last) => {
                if let Some(position) = find(&access, room, last, &activity).await? {
                    position
                } else {
                    // The message is gone, so the log was cleared. All messages now in the log are
                    // new to the client.
                    ready.push_back(cleared(room));
                    Position::after(MessageId(0), &activity)
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
            drafts: changed_drafts,
            draft_events: drafts,
            wants_images,
            drafts_after: Instant::now(),
            due: Due::ALL,
            ends_at,
            _permit: permit,
        })
    }

    /// Waits for the next event.
    ///
    /// Returns `None` if the room is deleted, no longer admits the caller or cannot be read, if the
    /// caller's token has ended, if the stream's time is over, or if the server stops. The client
    /// then connects again with the id of its last message.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if self.access.has_ended() || Instant::now() >= self.ends_at {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.read().await.ok()?;
            if self.ready.is_empty() {
                self.changed().await?;
            }
        }
    }

    /// Waits for a change and records which events are due. Returns `None` when the stream must
    /// end.
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
            access,
            ends_at,
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
            () = access.ended() => return None,
            () = tokio::time::sleep_until(*ends_at) => return None,
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
        if self.due.room {
            self.due.room = false;
            let access = &self.access;
            let text = self.renderer().room(&room, access.user()).await?;
            self.ready.push_back(event("room", text));
            // The rest is read when this event is taken. A feed that waits for a permit holds none,
            // so that feeds do not wait for each other.
            return Ok(());
        }
        let due = std::mem::replace(&mut self.due, Due::NONE);
        if due.members {
            self.listen_to_members().await?;
            let text = self.access.renderer().members(self.room).await?;
            if text != self.last_members {
                self.last_members = text.clone();
                self.ready.push_back(event("agents", text));
            }
        }
        if due.chatting {
            let conversations = &self.access.app.conversations;
            self.ready
                .extend(self.draft_events.next(conversations, self.room));
        }
        self.read_log().await
    }

    fn renderer(&self) -> Renderer<'_> {
        self.access.renderer_with(self.wants_images).patient()
    }

    /// Adds the events of the log since the position. A clear and removals come before messages.
    async fn read_log(&mut self) -> ApiResult<()> {
        let (activity, page) = self.log_part().await?;
        if activity.cleared_seq > self.position.cleared {
            self.ready.push_back(cleared(self.room));
            self.position.cleared = activity.cleared_seq;
        }
        if activity.removed_seq > self.position.removed {
            self.push_removals(activity.removed_seq).await?;
        }
        let renderer = self.renderer();
        let messages = fitting(&page, Kept::Oldest);
        let (texts, permit) = renderer.each_message(self.room, messages).await?;
        let permit = permit.map(Arc::new);
        for (message, text) in messages.iter().zip(texts) {
            let text = hold(text.into_bytes(), permit.clone());
            let event = event("message", text).id(message.id);
            self.ready.push_back(event);
            self.position.id = message.id;
        }
        Ok(())
    }

    /// Returns the room's activity, and the messages after the position at the same moment.
    ///
    /// If the log is cleared between two reads, both are read again. Otherwise the client would
    /// receive messages after the clear first, and would then drop them because of the clear.
    async fn log_part(&self) -> ApiResult<(Arc<Activity>, Page)> {
        let ports = self.access.ports();
        loop {
            let activity = ports.rooms.activity(self.room).await?.unwrap_or_default();
            let messages = &ports.messages;
            let page = messages
                .since(self.room, self.position.id, MESSAGES_AT_ONCE)
                .await?;
            let later = ports.rooms.activity(self.room).await?.unwrap_or_default();
            if activity.log_version() == later.log_version() {
                return Ok((later, page));
            }
        }
    }

    /// Adds the events of all removals up to `last`. They come before the messages that were read
    /// at the same moment: an event of a later removal must not come before its message.
    async fn push_removals(&mut self, last: Seq) -> ApiResult<()> {
        while self.position.removed < last {
            let messages = &self.access.ports().messages;
            let removals = messages
                .removals(self.room, self.position.removed, MESSAGES_AT_ONCE)
                .await?;
            for removal in removals.iter().filter(|removal| removal.seq <= last) {
                let data = json!({ "room_id": self.room.0, "message_id": removal.message.0 });
                self.ready.push_back(event("removed", Json::new(&data)));
                self.position.removed = removal.seq;
            }
            // A clear after `last` has deleted the removals. Its event follows.
            if removals.first().is_none_or(|first| first.seq > last) {
                self.position.removed = last;
            }
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
}

/// Returns the position of a client whose last message has this id. Returns `None` if the message
/// was cleared. Id 0 is the position before the first message.
async fn find(
    access: &Access,
    room: RoomId,
    id: MessageId,
    activity: &Activity,
) -> ApiResult<Option<Position>> {
    if id == MessageId(0) {
        return Ok(Some(Position::after(id, activity)));
    }
    let messages = &access.ports().messages;
    let above = Some(MessageId(id.0.saturating_add(1)));
    let page = messages.recent(room, above, 1).await?;
    let found = page.last().filter(|message| message.id == id);
    let removed = match found {
        // Removals before the message were sent before it.
        Some(message) => message.seq,
        // The client may not know any removal since the last clear, so all are sent.
        None if is_removed(access, room, id).await? => Seq(0),
        None => return Ok(None),
    };
    Ok(Some(Position {
        removed,
        ..Position::after(id, activity)
    }))
}

/// Returns `true` if the message was removed since the last clear.
async fn is_removed(access: &Access, room: RoomId, id: MessageId) -> ApiResult<bool> {
    let messages = &access.ports().messages;
    let mut after = Seq(0);
    loop {
        let removals = messages.removals(room, after, MESSAGES_AT_ONCE).await?;
        if removals.iter().any(|removal| removal.message == id) {
            return Ok(true);
        }
        match removals.last() {
            Some(last) => after = last.seq,
            None => return Ok(false),
        }
    }
}

fn cleared(room: RoomId) -> Event {
    event("cleared", Json::new(&json!({ "room_id": room.0 })))
}
