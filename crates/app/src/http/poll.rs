//! The endpoint that polls for new messages.

use std::time::{Duration, Instant};

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};
use cache_adapter::ListenTarget;
use domain::{MessageId, Page, RoomId, Seq};
use futures_util::future::{Either, ready};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::{hit, with_cache_status},
    error::{ApiError, ApiResult},
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    query::{ImagesQuery, Query},
    rendered::{EMPTY_PAGE, Kept, json_response},
    wire,
};
use crate::{
    bounds::{WaitKind, WaitOutcome},
    state::AppHandle,
};

/// The maximum number of messages of a poll without `limit`. This number and the next two are part
/// of the HTTP interface, so they are not settings.
const DEFAULT_LIMIT: usize = 100;
/// The maximum of `limit`, which bounds the size of a response.
const MOST_MESSAGES: usize = 1_000;
/// The maximum of `wait`, in seconds. Proxies close a silent connection after a minute by default.
const LONGEST_WAIT: f64 = 30.0;

static LOG_VERSION: HeaderName = HeaderName::from_static("greenroom-log-version");

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
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

/// The parameters of a poll.
pub(super) struct Poll {
    room: RoomId,
    since: Option<MessageId>,
    limit: usize,
    wait_secs: f64,
    wants_images: bool,
}

impl Poll {
    pub(super) fn parse(room: RoomId, query: &Query) -> ApiResult<Self> {
        let [since, limit, wait] = query.params(["since_id", "limit", "wait"]);
        Ok(Self {
            room,
            since: since.number(0, i64::MAX)?.map(MessageId),
            limit: limit.number(1, MOST_MESSAGES)?.unwrap_or(DEFAULT_LIMIT),
            wait_secs: wait.number(0.0, LONGEST_WAIT)?.unwrap_or(0.0),
            wants_images: query.wants_images()?,
        })
    }
}

/// Returns the oldest messages above `since_id` or, without it, the newest; both oldest first.
///
/// Once the room was cleared or a message was removed, the response has the header
/// `Greenroom-Log-Version`. It changes with each clear and each removal: a client that finds
/// another value than before reads the room again.
#[utoipa::path(
    get, path = "/rooms/{room}/messages/poll", tag = "messages",
    params(RoomPath, PollQuery, ImagesQuery),
    responses((status = 200, body = [wire::MessageObject]), Refusals, RoomRefusals)
)]
fn poll(access: Access, ids: Ids, query: Query) -> impl Future<Output = Response> {
    // Parsed outside of the future, which is smaller if it does not hold the path and the query.
    let poll = ids.room().and_then(|room| Poll::parse(room, &query));
    respond_to_poll(access, poll)
}

/// Returns the response to a poll. An error is the response to parameters that cannot be parsed.
pub(super) fn respond_to_poll(
    access: Access,
    poll: ApiResult<Poll>,
) -> impl Future<Output = Response> {
    if let Ok(poll) = &poll
        && let Some(response) = nothing_new(&access, poll)
    {
        return Either::Left(ready(response));
    }
    // Boxed, so that what a poll with messages needs does not enlarge the future of one without.
    Either::Right(Box::pin(with_cache_status(async move {
        let poll = poll?;
        if poll.wait_secs == 0.0 {
            let page = read(&access, &poll).await?;
            let version = log_version(&access, poll.room).await?;
            return respond(&access, &poll, &page, version).await;
        }
        wait(&access, &poll).await
    })))
}

/// Returns the response to a poll if memory says that there is nothing new, as for nearly all.
fn nothing_new(access: &Access, poll: &Poll) -> Option<Response> {
    let (cache, room, since) = (access.cache()?, poll.room, poll.since?);
    let is_over = poll.wait_secs == 0.0
        && cache.has_nothing_after(room, since)
        && cache.admits(room, access.user());
    if !is_over {
        return None;
    }
    // Read after the messages, as by `log_version`.
    let version = cache.log_version(room)?;
    Some(hit(with_version(json_response(EMPTY_PAGE), version)))
}

async fn read(access: &Access, poll: &Poll) -> ApiResult<Page> {
    access.enter(poll.room).await?;
    let messages = &access.ports().messages;
    let page = match poll.since {
        Some(since) => messages.since(poll.room, since, poll.limit).await?,
        None => messages.recent(poll.room, None, poll.limit).await?,
    };
    Ok(page)
}

/// Returns the version of the room's log. It is read after the messages, so that a client does not
/// miss a clear in between: it finds the new version with the old messages, and reads the room
/// again.
async fn log_version(access: &Access, room: RoomId) -> ApiResult<Option<Seq>> {
    if let Some(version) = access.cache().and_then(|cache| cache.log_version(room)) {
        return Ok(version);
    }
    let activity = access.ports().rooms.activity(room).await?;
    Ok(activity.and_then(|activity| activity.log_version()))
}

/// Responds as soon as there is a message, a message disappears, the time is over, or the server
/// stops.
///
/// Each read checks again that the room exists and admits the caller.
async fn wait(access: &Access, poll: &Poll) -> ApiResult {
    let room = poll.room;
    let _permit = access.begin_wait(WaitKind::Poll)?;
    // Listening begins before the read, so that a write between the two is noticed.
    let mut listener = access.app.cache.listen(ListenTarget::Messages(room));
    let wait = Duration::from_secs_f64(poll.wait_secs);
    let mut timeout = access.app.cache.manager.clock().sleep(wait);
    let mut first_version = None;
    let began = Instant::now();
    let record = |outcome| access.app.bounds.waits.record(outcome, began.elapsed());
    loop {
        let page = read(access, poll).await?;
        let version = log_version(access, room).await?;
        if !page.is_empty() || *first_version.get_or_insert(version) != version {
            record(WaitOutcome::Found);
            return respond(access, poll, &page, version).await;
        }
        let outcome = tokio::select! {
            () = listener.rung() => continue,
            () = access.ended() => {
                record(WaitOutcome::Stopped);
                return Err(ApiError::unauthenticated());
            }
            () = &mut timeout => WaitOutcome::Late,
            () = access.app.stopping.cancelled() => WaitOutcome::Stopped,
        };
        record(outcome);
        return respond(access, poll, &page, version).await;
    }
}

async fn respond(access: &Access, poll: &Poll, page: &Page, version: Option<Seq>) -> ApiResult {
    let renderer = access.renderer_with(poll.wants_images);
    // A client reads the rest with its next poll, after the last message that it has got.
    let kept = match poll.since {
        Some(_) => Kept::Oldest,
        None => Kept::Newest,
    };
    let text = renderer.page(poll.room, page, kept).await?;
    Ok(with_version(json_response(text), version))
}

fn with_version(mut response: Response, version: Option<Seq>) -> Response {
    if let Some(version) = version {
        response
            .headers_mut()
            .insert(&LOG_VERSION, HeaderValue::from(version.0));
    }
    response
}
