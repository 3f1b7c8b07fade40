//! The endpoints of a room's event stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
    response::{
        IntoResponse,
        sse::{KeepAlive, Sse},
    },
};
use domain::MessageId;
use futures_util::stream;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Open},
    error::{ApiError, ApiResult},
    feed::Feed,
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    query::Query,
};
use crate::state::App;

/// The interval at which a stream without events sends a comment. Proxies usually close a
/// connection that is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
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
}

/// A ticket for one room's event stream.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
struct TicketObject {
    /// Valid for one minute.
    ticket: String,
}

/// Streams the events `message`, `cleared`, `agents`, `room` and `chatting`. It begins after the
/// message that `Last-Event-ID` names, or now.
#[utoipa::path(
    get, path = "/rooms/{room}/events", tag = "messages",
    params(RoomPath, EventsQuery, ("Last-Event-ID" = Option<i64>, Header, minimum = 0)),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        Refusals, RoomRefusals
    )
)]
async fn events(State(app): State<Arc<App>>, ids: Ids, mut parts: Parts) -> ApiResult {
    let query = Query(parts.uri.clone());
    let [ticket] = query.params(["ticket"]);
    let access = match ticket.value.as_deref() {
        Some(ticket) => {
            // Counted by address, because an invalid ticket belongs to no caller.
            Open::from_request_parts(&mut parts, &app).await?;
            let verified = app.auth.tokens.verify_ticket(ticket, ids.room()?);
            let verified = verified.ok_or_else(ApiError::unauthenticated)?;
            Access::new(app, verified, &parts.headers)
        }
        None => Access::from_request_parts(&mut parts, &app).await?,
    };
    let room = access.room(ids.room()?).await?.id;
    let last = last_event_id(&parts.headers)?;
    let feed = Feed::begin(access, room, last).await?;
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    // Tells proxies such as nginx to forward each event at once instead of buffering.
    let unbuffered = [(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )];
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok((unbuffered, events).into_response())
}

fn last_event_id(headers: &HeaderMap) -> ApiResult<Option<MessageId>> {
    let Some(value) = headers.get("last-event-id") else {
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
    let ticket = access.app.auth.tokens.ticket(access.caller(), room);
    Ok(Json(TicketObject { ticket }))
}
