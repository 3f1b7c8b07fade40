//! A room's events as a stream: each message once and in order, and the state beside them whenever it changes.

use std::{
    collections::VecDeque, convert::Infallible, future::poll_fn, sync::Arc, task::Poll,
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use cache_adapter::ListenTarget;
use cache_core::Listener;
use domain::{Message, MessageId, RoomId, Seq};
use futures_util::stream;
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{
    bodies::Json,
    error::{Answer, ApiError},
    extract::{Access, Ids, Open, Params},
    messages::chatting_agents,
    openapi::{Refusals, RoomRefusals},
    views,
};
use crate::wiring::App;

/// Between two signs of life on a silent stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two events about the same answers that are being composed.
const DRAFTS: Duration = Duration::from_millis(100);
/// Messages read at a time; the next are read when these were sent.
const PAGE: usize = 100;

/// A stream of `message`, `cleared`, `agents`, `room` and `chatting`, which begins behind the message that `Last-Event-ID`
/// names, or now. A browser, which cannot set a header here, gives a ticket.
#[utoipa::path(get, path = "/rooms/{room}/events", tag = "messages", params(("room" = i64, Path, minimum = 1), ("ticket" = Option<String>, Query), ("Last-Event-ID" = Option<i64>, Header, minimum = 0)),
    responses((status = 200, content_type = "text/event-stream", body = String), Refusals, RoomRefusals))]
pub(crate) async fn events(State(app): State<Arc<App>>, ids: Ids, mut parts: Parts) -> Answer {
    let params = Params(parts.uri.clone());
    let access = match params.texts(["ticket"])[0].text.as_deref() {
        Some(ticket) => {
            // A ticket that is wrong is nobody's, so that its address counts.
            Open::from_request_parts(&mut parts, &app).await?;
            let verified = app
                .auth
                .tokens
                .verify_ticket(ticket, ids.room()?)
                .ok_or_else(ApiError::nobody)?;
            Access::of(app, verified, &parts.headers)
        }
        None => Access::from_request_parts(&mut parts, &app).await?,
    };
    let headers = parts.headers;
    let room = access.room(ids.room()?).await?.id;
    let last = headers.get("last-event-id").map(|id| {
        let id = id
            .to_str()
            .ok()
            .and_then(|id| id.trim().parse().ok())
            .filter(|id| *id >= 0);
        id.map(MessageId)
            .ok_or_else(|| ApiError::fields("Last-Event-ID is the id of a message"))
    });
    let feed = Feed::begin(access, room, last.transpose()?).await?;
    let events = stream::unfold(feed, |mut feed| async {
        feed.next()
            .await
            .map(|event| (Ok::<_, Infallible>(event), feed))
    });
    let unbuffered = [(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )];
    Ok((
        unbuffered,
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)),
    )
        .into_response())
}

/// One stream: how far it has told, and what it listens to.
struct Feed {
    access: Access,
    room: RoomId,
    /// The last message told, and the last place in the log: a place left out was a clear.
    told: (MessageId, Seq),
    ready: VecDeque<Event>,
    messages: Listener,
    changes: Listener,
    members: Listener,
    agents: Vec<Listener>,
    drafts: watch::Receiver<()>,
    /// When the drafts may be told again.
    drafts_after: Instant,
    due: Due,
}

/// What is to be read anew.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    room: bool,
    members: bool,
    chatting: bool,
}

impl Feed {
    async fn begin(access: Access, room: RoomId, last: Option<MessageId>) -> Answer<Self> {
        let cache = &access.app.cache;
        let (messages, changes, members) = (
            cache.listen(ListenTarget::Messages(room)),
            cache.listen(ListenTarget::Room(room)),
            cache.listen(ListenTarget::Members(room)),
        );
        let mut ready = VecDeque::new();
        let beyond = last.map(|last| MessageId(last.0.saturating_add(1)));
        let before = access
            .ports()
            .messages
            .recent(room, beyond, 1)
            .await?
            .last()
            .cloned();
        let told = match (last, before) {
            (None, Some(newest)) => (newest.id, newest.seq),
            (None, None) => (
                MessageId(0),
                access
                    .ports()
                    .rooms
                    .activity(room)
                    .await?
                    .unwrap_or_default()
                    .last_seq,
            ),
            (Some(last), Some(before)) if before.id == last => (last, before.seq),
            (Some(MessageId(0)), _) => (MessageId(0), Seq(0)),
            // What was told last is not in the log: the room was cleared since, and all that stands there is news.
            (Some(_), _) => {
                ready.push_back(cleared(room));
                (MessageId(0), Seq(0))
            }
        };
        let due = Due {
            room: true,
            members: true,
            chatting: true,
        };
        let drafts = access.app.conversations.listen(room);
        Ok(Self {
            access,
            room,
            told,
            ready,
            messages,
            changes,
            members,
            agents: Vec::new(),
            drafts,
            drafts_after: Instant::now(),
            due,
        })
    }

    /// The next event; `None` when the room is gone, is no longer the caller's, or the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // The client comes back with the id of the last message it got.
            self.read().await.ok()?;
            if self.ready.is_empty() {
                self.rung().await?;
            }
        }
    }

    /// Waits for a change; `None` when the server stops.
    async fn rung(&mut self) -> Option<()> {
        let stopping = self.access.app.stopping.clone();
        let (messages, changes, members, agents, due) = (
            &mut self.messages,
            &mut self.changes,
            &mut self.members,
            &mut self.agents,
            &mut self.due,
        );
        let rung = poll_fn(|context| {
            let said = messages.poll_rung(context).is_ready();
            let altered = changes.poll_rung(context).is_ready();
            // Each is polled, so that each is listened to.
            let joined = agents
                .iter_mut()
                .fold(members.poll_rung(context).is_ready(), |rung, agent| {
                    agent.poll_rung(context).is_ready() || rung
                });
            due.room |= altered;
            due.members |= joined;
            if said || altered || joined {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let (drafts, drafts_after) = (&mut self.drafts, &mut self.drafts_after);
        let chatting = async {
            tokio::time::sleep_until(*drafts_after).await;
            drafts.changed().await
        };
        tokio::select! {
            () = rung => Some(()),
            Ok(()) = chatting => {
                *drafts_after = Instant::now() + DRAFTS;
                self.due.chatting = true;
                Some(())
            }
            () = stopping.cancelled() => None,
        }
    }

    async fn read(&mut self) -> Answer<()> {
        let room = self.access.room(self.room).await?;
        let due = std::mem::take(&mut self.due);
        let ports = self.access.ports();
        if due.room {
            self.ready
                .push_back(event("room", views::room(&self.access, &room).await?));
        }
        if due.members {
            // Listening begins before the read, so that what is written between them is not missed.
            let members = ports.rooms.members(self.room).await?;
            let topics = members.iter().flat_map(|member| {
                [
                    ListenTarget::Agent(member.agent),
                    ListenTarget::Config(member.agent),
                ]
            });
            self.agents = topics
                .map(|topic| self.access.app.cache.listen(topic))
                .collect();
            self.ready
                .push_back(event("agents", views::members(ports, self.room).await?));
        }
        if due.chatting {
            self.ready.push_back(event(
                "chatting",
                chatting_agents(&self.access.app.conversations, self.room),
            ));
        }
        let found = ports.messages.since(self.room, self.told.0, PAGE).await?;
        for message in &found {
            self.tell(message).await?;
        }
        if found.is_empty() {
            self.tell_clear().await?;
        }
        Ok(())
    }

    async fn tell(&mut self, message: &Arc<Message>) -> Answer<()> {
        if message.seq > Seq(self.told.1.0 + 1) && self.told.1 > Seq(0) {
            self.ready.push_back(cleared(self.room));
        }
        let text = views::messages(
            self.access.ports(),
            self.room,
            std::slice::from_ref(message),
        )
        .await?
        .items();
        self.ready
            .push_back(event("message", text).id(message.id.to_string()));
        self.told = (message.id, message.seq);
        Ok(())
    }

    /// A clear behind the last message takes a place that no message has.
    async fn tell_clear(&mut self) -> Answer<()> {
        let activity = self
            .access
            .ports()
            .rooms
            .activity(self.room)
            .await?
            .unwrap_or_default();
        if activity.last_seq > self.told.1 && activity.last_message_seq <= self.told.1 {
            if self.told.1 > Seq(0) {
                self.ready.push_back(cleared(self.room));
            }
            self.told.1 = activity.last_seq;
        }
        Ok(())
    }
}

fn event(name: &str, json: impl Into<Bytes>) -> Event {
    let json = json.into();
    Event::default()
        .event(name)
        .data(str::from_utf8(&json).expect("JSON is UTF-8"))
}

fn cleared(room: RoomId) -> Event {
    event("cleared", Json::of(&json!({ "room_id": room.0 })))
}
