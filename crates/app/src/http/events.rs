//! The endpoints of a room's event stream.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::Response,
};
use domain::MessageId;
use futures_util::stream;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Open},
    draft_events::DraftEvents,
    error::{ApiError, ApiResult, Place},
    feed::{Feed, FeedRequest},
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    query::{ImagesQuery, Query},
    sse_event::Frames,
};
use crate::{bounds::WaitKind, state::AppHandle};

/// The interval at which a stream without events sends a comment. Proxies usually close a
/// connection that is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(ticket))
}

/// The query parameters of an event stream, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `events` reads")]
struct EventsQuery {
    /// A ticket instead of a token, because browsers cannot send a token with an event stream
    ticket: Option<String>,
    /// Begins the stream after this message, as `Last-Event-ID` does, for browsers that open a
    /// stream with a new ticket
    #[param(minimum = 0)]
    since_id: Option<i64>,
    /// `whole` by default; with `deltas`, the text that is added to a draft comes in events `draft`
    drafts: Option<String>,
}

/// A ticket for one room's event stream.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
struct TicketObject {
    /// Valid for one minute.
    ticket: String,
}

/// Streams the events `message`, `removed`, `cleared`, `agents`, `room`, `chatting` and `draft`.
///
/// The stream begins after the message that `Last-Event-ID` or `since_id` names, or now. It ends
/// after an hour, and with the caller's token.
#[utoipa::path(
    get, path = "/rooms/{room}/events", tag = "messages",
    params(
        RoomPath, EventsQuery, ImagesQuery,
        ("Last-Event-ID" = Option<i64>, Header, minimum = 0)
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        Refusals, RoomRefusals
    )
)]
async fn events(State(app): State<AppHandle>, ids: Ids, mut parts: Parts) -> ApiResult {
    let query = Query(parts.uri.clone());
    let [ticket, since, drafts] = query.params(["ticket", "since_id", "drafts"]);
    let wants_images = query.wants_images()?;
    let drafts = match drafts.value.as_deref() {
        None | Some("whole") => DraftEvents::Whole,
        Some("deltas") => DraftEvents::Deltas(None),
        Some(_) => {
            let place = vec![Place::name("query"), Place::name("drafts")];
            let detail = "`drafts` must be `whole` or `deltas`";
            return Err(ApiError::unprocessable(detail).at(place));
        }
    };
    let access = match ticket.value.as_deref() {
        Some(ticket) => {
            // Counted by address, because an invalid ticket belongs to no caller.
            let open = Open::from_request_parts(&mut parts, &app).await?;
            let verified = app.auth.tokens.verify_ticket(ticket, ids.room()?);
            let verified = verified.ok_or_else(ApiError::unauthenticated)?;
            Access::new(app, verified, open.address, &parts.headers)
        }
        None => Access::from_request_parts(&mut parts, &app).await?,
    };
    let room = access.room(ids.room()?).await?.id;
    // A browser that connects again by itself sends the header, which is newer than the address.
    let last = match last_event_id(&parts.headers)? {
        Some(last) => Some(last),
        None => since.number(0, i64::MAX)?.map(MessageId),
    };
    let permit = access.begin_wait(WaitKind::Stream)?;
    let request = FeedRequest {
        room,
        last,
        drafts,
        wants_images,
    };
    let feed = Feed::begin(access, request, permit).await?;
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((event, feed))
    });
    // Tells proxies such as nginx to forward each event at once instead of buffering.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    let mut response = Response::new(Body::from_stream(Frames::new(events, HEARTBEAT)));
    let headers = response.headers_mut();
    let event_stream = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, event_stream);
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> ApiResult<Option<MessageId>> {
    // An empty header means that the client has received no message.
    let value = headers
        .get("last-event-id")
        .filter(|value| !value.is_empty());
    let Some(value) = value else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|id| id.trim().parse().ok());
    match id {
        Some(id) if id >= 0 => Ok(Some(MessageId(id))),
        _ => Err(ApiError::unprocessable(
            "`Last-Event-ID` must be the id of a message, or 0",
        )),
    }
}

/// Returns a ticket for browsers, which cannot set a header on an event stream.
#[utoipa::path(
    post, path = "/rooms/{room}/events/ticket", tag = "messages", params(RoomPath),
    responses((status = 200, body = TicketObject), Refusals, RoomRefusals)
)]
async fn ticket(access: Access, ids: Ids) -> ApiResult<Json<TicketObject>> {
    let room = access.room(ids.room()?).await?.id;
    let ticket = access.app.auth.tokens.ticket(access.verified(), room);
    Ok(Json(TicketObject { ticket }))
}
