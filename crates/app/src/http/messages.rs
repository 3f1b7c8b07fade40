//! Endpoints of a room's messages: the history, single messages and their images, the messages of
//! critics, and clearing.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    http::HeaderMap,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{Message, MessageId, RoomId};
use futures_util::{StreamExt, stream};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::with_cache_status,
    error::{ApiError, ApiResult},
    etag::with_tag,
    ids::{Ids, MessagePath, RoomPath},
    images,
    list_part::ListQuery,
    openapi::{Confirmation, Refusals, RoomRefusals},
    query::{ImagesQuery, Query},
    rendered::{Kept, fitting, json_response},
    wire,
};
use crate::{bounds::hold, conversation::Trigger, state::AppHandle};

/// The number of messages in a chunk of the streamed history: a few hundred kilobytes in memory.
const CHUNK: usize = 500;
/// The maximum of `limit`. It is part of the HTTP interface, so it is not a setting.
const MOST_MESSAGES: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(list, clear))
        .routes(routes!(remove))
        .routes(routes!(image))
        .routes(routes!(by_critics))
}

/// The query parameters of the history, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `list` reads")]
struct HistoryQuery {
    /// Only messages below this id
    #[param(minimum = 1)]
    before: Option<i64>,
    /// Returns only this many of the newest messages; a value above 1000 counts as 1000
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Returns the messages of a room, oldest first: all of them, streamed, or the newest `limit`.
#[utoipa::path(
    get, path = "/rooms/{room}/messages", tag = "messages",
    params(RoomPath, HistoryQuery, ImagesQuery),
    responses((status = 200, body = [wire::MessageObject]), Refusals, RoomRefusals)
)]
async fn list(access: Access, ids: Ids, query: Query) -> Response {
    with_cache_status(async {
        let wants_images = query.wants_images()?;
        let room = access.room(ids.room()?).await?.id;
        let [before, limit] = query.params(["before", "limit"]);
        let before = before.number(1, i64::MAX)?.map(MessageId);
        if let Some(limit) = limit.number(1, MOST_MESSAGES)? {
            let page = access.ports().messages.recent(room, before, limit).await?;
            let renderer = access.renderer_with(wants_images);
            return Ok(json_response(
                renderer.page(room, &page, Kept::Newest).await?,
            ));
        }
        let history = History {
            room,
            before,
            wants_images,
        };
        let first = history.chunk(&access, MessageId(0)).await?;
        Ok(history.stream(access, first))
    })
    .await
}

/// The messages of a room below an id, read chunk by chunk.
#[derive(Clone, Copy)]
struct History {
    room: RoomId,
    before: Option<MessageId>,
    wants_images: bool,
}

/// A part of the JSON array of the history.
struct Chunk {
    text: Bytes,
    /// The id after which the next chunk begins; `None` if this is the last.
    next: Option<MessageId>,
}

impl History {
    /// Reads and renders the messages after `after`, which is 0 for the first chunk. Only the last
    /// chunk contains images, so that the whole history does not have more of them than any other
    /// answer.
    async fn chunk(self, access: &Access, after: MessageId) -> ApiResult<Chunk> {
        let ports = access.ports();
        // One more, which shows if this is the last chunk.
        let page = ports.messages.since(self.room, after, CHUNK + 1).await?;
        let is_below = |message: &Arc<Message>| self.before.is_none_or(|id| message.id < id);
        let below = &page[..page.partition_point(is_below)];
        let messages = fitting(&below[..below.len().min(CHUNK)], Kept::Oldest);
        let last = messages.last().map(|message| message.id);
        let next = last.filter(|_| messages.len() < below.len());
        let mut renderer = access.renderer_with(self.wants_images && next.is_none());
        if after > MessageId(0) {
            // A refusal would end the list in its middle.
            renderer = renderer.patient();
        }
        let (text, permit) = renderer.messages(self.room, messages).await?;
        let mut text = text.into_bytes();
        // Each chunk is rendered as an array, but the joined chunks must be one array. So only the
        // first chunk keeps its `[` and only the last its `]`. In each later chunk with messages, a
        // comma replaces the `[`.
        let mut start = 0;
        if after > MessageId(0) {
            if messages.is_empty() {
                start = 1;
            } else {
                text[0] = b',';
            }
        }
        if next.is_some() {
            text.pop();
        }
        Ok(Chunk {
            text: hold(Bytes::from(text).slice(start..), permit),
            next,
        })
    }

    /// Responds with the first chunk. Each further chunk is read after the client has received the
    /// chunk before it.
    fn stream(self, access: Access, first: Chunk) -> Response {
        let rest = first.next.map(|after| (access, after));
        let rest = stream::unfold(rest, move |rest| async move {
            let (access, after) = rest?;
            Some(match self.chunk(&access, after).await {
                Ok(Chunk { text, next }) => (Ok(text), next.map(|after| (access, after))),
                // The error ends the connection, so the client notices that the body is incomplete.
                Err(error) => (Err(std::io::Error::other(error.detail)), None),
            })
        });
        let first = stream::iter([Ok::<_, std::io::Error>(first.text)]);
        json_response(Body::from_stream(first.chain(rest)))
    }
}

/// Deletes all messages of a room. A guest may clear its own rooms if the settings allow it.
#[utoipa::path(
    delete, path = "/rooms/{room}/messages", tag = "messages", params(RoomPath),
    responses((status = 200, body = Confirmation), Refusals, RoomRefusals)
)]
async fn clear(access: Access, ids: Ids) -> ApiResult<Json<Confirmation>> {
    access.require_deletion()?;
    let room = access.room(ids.room()?).await?.id;
    let messages = access.ports().messages.clone();
    let write = async move { messages.clear(room).await };
    let conversations = &access.app.conversations;
    conversations.write(room, Trigger::Cleared, write).await?;
    Ok(Confirmation::json("All messages cleared successfully"))
}

/// Removes one message. A guest may do so in its own rooms if the settings allow it.
#[utoipa::path(
    delete, path = "/rooms/{room}/messages/{message}", tag = "messages",
    params(RoomPath, MessagePath),
    responses((status = 200, body = Confirmation), Refusals, RoomRefusals)
)]
async fn remove(access: Access, ids: Ids) -> ApiResult<Json<Confirmation>> {
    access.require_deletion()?;
    let (room, message) = (access.room(ids.room()?).await?.id, ids.message()?);
    let messages = access.ports().messages.clone();
    let write = async move { messages.remove(room, message).await };
    let conversations = &access.app.conversations;
    conversations.write(room, Trigger::Changed, write).await?;
    Ok(Confirmation::json("Message deleted successfully"))
}

/// Returns the image of a message.
#[utoipa::path(
    get, path = "/rooms/{room}/messages/{message}/image", tag = "messages",
    params(RoomPath, MessagePath),
    responses(
        (status = 200, content_type = "image/*", body = Vec<u8>),
        (status = 304, description = "The image with this tag is current"),
        Refusals, RoomRefusals
    )
)]
async fn image(access: Access, ids: Ids, headers: HeaderMap) -> ApiResult {
    let (room, message) = (access.room(ids.room()?).await?.id, ids.message()?);
    let mut found = access.ports().messages.images(room, &[message]).await?;
    let (_, image) = found
        .pop()
        .ok_or_else(|| ApiError::missing("image", message))?;
    let permit = access.images().acquire(image.data.len()).await;
    let permit = permit.ok_or_else(|| ApiError::busy("too many images are being sent"))?;
    let bytes = STANDARD.decode(&image.data).map_err(ApiError::internal)?;
    let media_type = images::media_type(&bytes);
    let media_type = media_type.ok_or_else(|| ApiError::missing("image", message))?;
    // The image of a message never changes, so the message's id identifies it.
    let tag = format!("\"{message}\"");
    Ok(with_tag(
        &headers,
        &tag,
        media_type,
        hold(bytes, Some(permit)),
    ))
}

/// Returns messages of the agents that are critics now, oldest first: the newest 1,000, or others
/// with `after` and `limit`.
#[utoipa::path(
    get, path = "/rooms/{room}/critic-messages", tag = "messages", params(RoomPath, ListQuery),
    responses((status = 200, body = [wire::MessageObject]), Refusals, RoomRefusals)
)]
async fn by_critics(access: Access, ids: Ids, query: Query) -> Response {
    with_cache_status(async {
        let room = access.room(ids.room()?).await?.id;
        let part = query.list_part()?;
        let ports = access.ports();
        // Only agents with messages in the log can have critical ones.
        let counts = ports
            .messages
            .answer_counts(room)
            .await?
            .unwrap_or_default();
        let authors: Vec<_> = counts.by_agent.keys().copied().collect();
        let configs = ports.configs.find_many(&authors).await?;
        let critics: Vec<_> = configs
            .iter()
            .filter(|(_, config)| config.is_critic)
            .map(|(id, _)| *id)
            .collect();
        let after = part.after.map(MessageId);
        let messages = &ports.messages;
        let found = messages
            .by_authors(room, &critics, after, part.limit)
            .await?;
        let kept = match after {
            Some(_) => Kept::Oldest,
            None => Kept::Newest,
        };
        let found = fitting(&found, kept);
        let (text, permit) = access.renderer().messages(room, found).await?;
        Ok(json_response(hold(text, permit)))
    })
    .await
}
