//! The endpoint that polls for new messages.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use cache_adapter::ListenTarget;
use domain::{MessageId, Page, RoomId};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::with_cache_status,
    error::ApiResult,
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    query::Query,
    rendered::json_response,
    wire,
};
use crate::state::App;

/// The maximum number of messages of a poll without `limit`. This number and the next two are part
/// of the HTTP interface, so they are not settings.
const DEFAULT_LIMIT: usize = 100;
/// The maximum of `limit`, which bounds the size of a response.
const MOST_MESSAGES: usize = 1_000;
/// The maximum of `wait`, in seconds. Proxies close a silent connection after a minute by default.
const LONGEST_WAIT: f64 = 30.0;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(poll))
}

/// The query parameters of a poll, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Poll::parse` reads")]
struct PollQuery {
    /// The last id that the client has seen
    #[param(minimum = 0)]
    since_id: Option<i64>,
    /// 100 by default; above 1000 it counts as 1000
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Seconds to wait for a message; above 30 it counts as 30
    #[param(minimum = 0)]
    wait: Option<f64>,
}

struct Poll {
    room: RoomId,
    since: Option<MessageId>,
    limit: usize,
    wait_secs: f64,
}

impl Poll {
    fn parse(ids: &Ids, query: &Query) -> ApiResult<Self> {
        let room = ids.room()?;
        let [since, limit, wait] = query.params(["since_id", "limit", "wait"]);
        Ok(Self {
            room,
            since: since.number(0, i64::MAX)?.map(MessageId),
            limit: limit.number(1, MOST_MESSAGES)?.unwrap_or(DEFAULT_LIMIT),
            wait_secs: wait.number(0.0, LONGEST_WAIT)?.unwrap_or(0.0),
        })
    }
}

/// Returns the oldest messages above `since_id` or, without it, the newest; both oldest first.
#[utoipa::path(
    get, path = "/rooms/{room}/messages/poll", tag = "messages",
    params(RoomPath, PollQuery),
    responses((status = 200, body = [wire::MessageObject]), Refusals, RoomRefusals)
)]
fn poll(access: Access, ids: Ids, query: Query) -> impl Future<Output = Response> {
    // Parsed outside of the future, which is smaller if it does not hold the path and the query.
    let poll = Poll::parse(&ids, &query);
    with_cache_status(async move {
        let poll = poll?;
        if poll.wait_secs == 0.0 {
            let page = read(&access, &poll).await?;
            return respond(&access, poll.room, &page).await;
        }
        // Boxed, so that the waiting does not enlarge the future of a poll that does not wait.
        Box::pin(wait(&access, &poll)).await
    })
}

async fn read(access: &Access, poll: &Poll) -> ApiResult<Page> {
    access.room(poll.room).await?;
    let messages = &access.ports().messages;
    let page = match poll.since {
        Some(since) => messages.since(poll.room, since, poll.limit).await?,
        None => messages.recent(poll.room, None, poll.limit).await?,
    };
    Ok(page)
}

/// Responds as soon as there is a message, the time is over, or the server stops.
///
/// Each read checks again that the room exists and admits the caller.
async fn wait(access: &Access, poll: &Poll) -> ApiResult {
    let room = poll.room;
    // Listening begins before the read, so that a write between the two is noticed.
    let mut listener = access.app.cache.listen(ListenTarget::Messages(room));
    let wait = Duration::from_secs_f64(poll.wait_secs);
    let mut timeout = access.app.cache.manager.clock().sleep(wait);
    loop {
        let page = read(access, poll).await?;
        if !page.is_empty() {
            return respond(access, room, &page).await;
        }
        tokio::select! {
            () = listener.rung() => {}
            () = &mut timeout => return respond(access, room, &page).await,
            () = access.app.stopping.cancelled() => return respond(access, room, &page).await,
        }
    }
}

async fn respond(access: &Access, room: RoomId, page: &Page) -> ApiResult {
    Ok(json_response(access.renderer().page(room, page).await?))
}
