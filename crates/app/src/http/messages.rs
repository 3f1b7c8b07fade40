//! Messages over HTTP.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body as HttpBody,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use cache_adapter::ListenTarget;
use domain::{
    AgentId, Image, Message, MessageId, NewMessage, Page, ParticipantType, Role, RoomId,
    names::MAX_ROOM_NAME_CHARS,
};
use futures_util::stream;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    bodies::answer,
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, Params, tell_source},
    images,
    openapi::{BodyRefusals, Message as Done, Refusals, RoomRefusals},
    views, wire,
};
use crate::{
    conversation::{Cause, Conversations},
    settings::Limits,
};

/// Messages of a page while the whole history is streamed.
const PAGE: usize = 500;
const DEFAULT_POLL: usize = 100;
const MOST: usize = 1_000;
/// Agents that one message may mention.
const MENTIONED: usize = 100;
/// The longest wait of a poll in seconds.
const LONGEST_WAIT: f64 = 30.0;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub(crate) struct Send {
    content: String,
    /// `user`
    role: String,
    /// null, `user`, `character` or `situation_builder`
    #[serde(default)]
    participant_type: Option<String>,
    #[serde(default)]
    participant_name: Option<String>,
    /// Base64, with `image_media_type`.
    #[serde(default)]
    image_data: Option<String>,
    #[serde(default)]
    image_media_type: Option<String>,
    /// They answer first, in this order.
    #[serde(default)]
    mentioned_agent_ids: Option<Vec<i64>>,
}

impl Send {
    fn parse(self, room: RoomId, limits: &Limits) -> Answer<NewMessage> {
        if self.content.chars().count() > limits.message_chars {
            return Err(ApiError::fields(format!(
                "content has at most {} characters",
                limits.message_chars
            )));
        }
        if self
            .participant_name
            .as_ref()
            .is_some_and(|name| name.chars().count() > MAX_ROOM_NAME_CHARS)
        {
            return Err(ApiError::fields(format!(
                "participant_name has at most {MAX_ROOM_NAME_CHARS} characters"
            )));
        }
        if Role::parse(&self.role)? != Role::User {
            return Err(ApiError::fields("role is user"));
        }
        let kind = self
            .participant_type
            .as_deref()
            .map(ParticipantType::parse)
            .transpose()?;
        if matches!(kind, Some(ParticipantType::Agent | ParticipantType::System)) {
            return Err(ApiError::fields(
                "participant_type is null, user, character or situation_builder",
            ));
        }
        let image = match (self.image_data, self.image_media_type) {
            (None, None) => None,
            (Some(data), Some(media_type)) => {
                let bytes = STANDARD
                    .decode(&data)
                    .map_err(|_| ApiError::fields("image_data is base64"))?;
                if images::check(&bytes, limits.image_pixels)? != media_type {
                    return Err(ApiError::fields(
                        "image_media_type is image/png, image/jpeg, image/gif or image/webp, as the image is",
                    ));
                }
                Some(Image { media_type, data })
            }
            _ => {
                return Err(ApiError::fields(
                    "image_data and image_media_type go together",
                ));
            }
        };
        let (participant_type, participant_name) = (kind, self.participant_name);
        Ok(NewMessage {
            participant_type,
            participant_name,
            image,
            ..NewMessage::from_user(room, self.content)
        })
    }
}

/// Answers when it is stored; agents then respond in the background.
#[utoipa::path(post, path = "/rooms/{room}/messages/send", tag = "messages", params(("room" = i64, Path, minimum = 1)), request_body = Send, responses((status = 200, body = wire::Message), Refusals, RoomRefusals, BodyRefusals))]
pub(crate) async fn send(access: Access, ids: Ids, Body(mut body): Body<Send>) -> Answer {
    let room = access.room(ids.room()?).await?.id;
    let mentioned: Vec<_> = body
        .mentioned_agent_ids
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(AgentId)
        .collect();
    if mentioned.len() > MENTIONED {
        return Err(ApiError::fields(format!(
            "mentioned_agent_ids has at most {MENTIONED} ids"
        )));
    }
    let (messages, new) = (
        access.ports().messages.clone(),
        body.parse(room, &access.app.limits)?,
    );
    let append = async move { messages.append(new).await };
    let message = access
        .app
        .conversations
        .after(room, Cause::Said { mentioned }, append)
        .await?;
    Ok(views::messages(access.ports(), room, &[message])
        .await?
        .items()
        .into_response())
}

/// The oldest `limit` above `since_id`; without it the newest, oldest first.
#[utoipa::path(get, path = "/rooms/{room}/messages/poll", tag = "messages", params(("room" = i64, Path, minimum = 1), ("since_id" = Option<i64>, Query, minimum = 0, description = "The last id seen"), ("limit" = Option<u64>, Query, minimum = 1, description = "100 by default; above 1000 it counts as 1000"), ("wait" = Option<f64>, Query, minimum = 0, description = "Seconds to wait for something; above 30 it counts as 30")), responses((status = 200, body = [wire::Message]), Refusals, RoomRefusals))]
pub(crate) fn poll(access: Access, ids: Ids, params: Params) -> impl Future<Output = Response> {
    // Read here, so that what is awaited holds neither the path nor the query.
    let asked = Poll::read(&ids, &params);
    tell_source(async move {
        let asked = asked?;
        if asked.wait == 0.0 {
            return shown(&access, asked.room, &unseen(&access, &asked).await?).await;
        }
        // Boxed, so that a poll that does not wait carries no room for it.
        Box::pin(awaited(&access, &asked)).await
    })
}

/// What a poll asks for.
struct Poll {
    room: RoomId,
    since: Option<MessageId>,
    limit: usize,
    /// Seconds.
    wait: f64,
}

impl Poll {
    fn read(ids: &Ids, params: &Params) -> Answer<Self> {
        let room = ids.room()?;
        let [since, limit, wait] = params.texts(["since_id", "limit", "wait"]);
        let since = since.number(0, i64::MAX)?.map(MessageId);
        let limit = limit.number(1, MOST)?.unwrap_or(DEFAULT_POLL);
        let wait = wait
            .number(0.0, LONGEST_WAIT)?
            .filter(|wait| !wait.is_nan())
            .unwrap_or(0.0);
        Ok(Self {
            room,
            since,
            limit,
            wait,
        })
    }
}

async fn unseen(access: &Access, asked: &Poll) -> Answer<Page> {
    access.room(asked.room).await?;
    let messages = &access.ports().messages;
    let found = match asked.since {
        Some(since) => messages.since(asked.room, since, asked.limit).await,
        None => messages.recent(asked.room, None, asked.limit).await,
    };
    found.map_err(ApiError::from)
}

async fn awaited(access: &Access, asked: &Poll) -> Answer {
    let room = asked.room;
    // Listening begins before the read, so that what is written between them is not missed.
    let mut listener = access.app.cache.listen(ListenTarget::Messages(room));
    let mut late = access
        .app
        .cache
        .manager
        .clock()
        .sleep(Duration::from_secs_f64(asked.wait));
    loop {
        let found = unseen(access, asked).await?;
        if !found.is_empty() {
            return shown(access, room, &found).await;
        }
        tokio::select! {
            () = listener.rung() => {}
            () = &mut late => return shown(access, room, &found).await,
            () = access.app.stopping.cancelled() => return shown(access, room, &found).await,
        }
    }
}

async fn shown(access: &Access, room: RoomId, page: &Page) -> Answer {
    Ok(answer(views::page(access, room, page).await?.into()))
}

/// With `limit` the newest so many, without it all, streamed page by page.
#[utoipa::path(get, path = "/rooms/{room}/messages", tag = "messages", params(("room" = i64, Path, minimum = 1), ("before" = Option<i64>, Query, minimum = 1, description = "Only below this id"), ("limit" = Option<u64>, Query, minimum = 1, description = "Above 1000 it counts as 1000")), responses((status = 200, body = [wire::Message]), Refusals, RoomRefusals))]
pub(crate) async fn list(access: Access, ids: Ids, params: Params) -> Response {
    tell_source(async {
        let room = access.room(ids.room()?).await?.id;
        let [before, limit] = params.texts(["before", "limit"]);
        let before = before.number(1, i64::MAX)?.map(MessageId);
        if let Some(limit) = limit.number(1, MOST)? {
            return shown(
                &access,
                room,
                &access.ports().messages.recent(room, before, limit).await?,
            )
            .await;
        }
        let first = page(&access, room, MessageId(0), before).await?;
        Ok(streamed(access, room, before, first))
    })
    .await
}

/// A page as JSON without brackets, and the id to go on after; `None` at the end.
async fn page(
    access: &Access,
    room: RoomId,
    after: MessageId,
    before: Option<MessageId>,
) -> Answer<(String, Option<MessageId>)> {
    let found = access.ports().messages.since(room, after, PAGE).await?;
    let is_full = found.len() == PAGE;
    let found =
        &found[..found.partition_point(|message| before.is_none_or(|before| message.id < before))];
    let next = found
        .last()
        .map(|message| message.id)
        .filter(|_| is_full && found.len() == PAGE);
    Ok((
        views::messages(access.ports(), room, found)
            .await?
            .items()
            .into_text(),
        next,
    ))
}

fn streamed(
    access: Access,
    room: RoomId,
    before: Option<MessageId>,
    first: (String, Option<MessageId>),
) -> Response {
    let (text, next) = first;
    let close = |next: &Option<MessageId>| if next.is_none() { "]" } else { "" };
    let head = format!("[{text}{}", close(&next));
    let rest = stream::unfold(next.map(|after| (access, after)), move |state| async move {
        let (access, after) = state?;
        Some(match page(&access, room, after, before).await {
            Ok((text, next)) => {
                let comma = if text.is_empty() { "" } else { "," };
                let chunk = format!("{comma}{text}{}", if next.is_none() { "]" } else { "" });
                (Ok(chunk), next.map(|after| (access, after)))
            }
            // The client sees a body that was cut off.
            Err(error) => (Err(std::io::Error::other(error.detail)), None),
        })
    });
    let body = HttpBody::from_stream(futures_util::StreamExt::chain(
        stream::iter([Ok::<_, std::io::Error>(head)]),
        rest,
    ));
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        body,
    )
        .into_response()
}

#[utoipa::path(delete, path = "/rooms/{room}/messages", tag = "messages", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = Done), Refusals, RoomRefusals))]
pub(crate) async fn clear(access: Access, ids: Ids) -> Answer<Json<Done>> {
    access.admin()?;
    let room = ids.room()?;
    let messages = access.ports().messages.clone();
    access
        .app
        .conversations
        .after(
            room,
            Cause::Cleared,
            async move { messages.clear(room).await },
        )
        .await?;
    Ok(Json(Done {
        message: "messages deleted",
    }))
}

/// Only from agents with `is_critic`.
#[utoipa::path(get, path = "/rooms/{room}/critic-messages", tag = "messages", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = [wire::Message]), Refusals, RoomRefusals))]
pub(crate) async fn by_critics(access: Access, ids: Ids) -> Response {
    tell_source(async {
        let room = access.room(ids.room()?).await?.id;
        let agents: Vec<_> = access
            .ports()
            .agents
            .list()
            .await?
            .iter()
            .map(|agent| agent.id)
            .collect();
        let configs = access.ports().configs.find_many(&agents).await?;
        let critics: Vec<_> = configs
            .iter()
            .filter(|(_, config)| config.is_critic)
            .map(|(id, _)| *id)
            .collect();
        let mut found = Vec::new();
        loop {
            let after = found
                .last()
                .map_or(MessageId(0), |message: &Arc<Message>| message.id);
            let page = access
                .ports()
                .messages
                .by_authors(room, &critics, after, MOST)
                .await?;
            let is_full = page.len() == MOST;
            found.extend(page);
            if !is_full {
                return Ok(views::messages(access.ports(), room, &found)
                    .await?
                    .into_response());
            }
        }
    })
    .await
}

/// Who is composing an answer, from memory alone.
#[utoipa::path(get, path = "/rooms/{room}/chatting-agents", tag = "messages", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Chatting), Refusals, RoomRefusals))]
pub(crate) async fn chatting(access: Access, ids: Ids) -> Answer {
    let room = access.room(ids.room()?).await?.id;
    let hit = [("cache-status", HeaderValue::from_static("greenroom; hit"))];
    Ok((hit, chatting_agents(&access.app.conversations, room)).into_response())
}

/// Who composes an answer, with the text so far.
pub(crate) fn chatting_agents(conversations: &Conversations, room: RoomId) -> super::bodies::Json {
    let composing = conversations
        .drafts(room)
        .into_iter()
        .map(|(agent, draft)| wire::Composing::new(agent, draft));
    super::bodies::Json::of(&wire::Chatting {
        chatting_agents: composing.collect(),
    })
}
