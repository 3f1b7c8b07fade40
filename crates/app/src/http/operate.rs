//! Endpoints of the live view, and the switch of a region. Only the administrator may use them.

use std::time::Duration;

use axum::{
    Json,
    body::{Body as ResponseBody, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Admin},
    body::{Body, RequestBody},
    error::{ApiError, ApiResult},
    ids::Ids,
    openapi::{AdminRefusals, BodyRefusals, Refusal, Refusals},
    rendered,
    sse_event::{Event, Frames, event},
};
use crate::{
    bounds::{WaitKind, WaitPermit},
    figures::{Overview, overview},
    operate::{ByHand, log_ring, now},
    state::AppHandle,
};

/// The interval at which a stream without events sends a comment.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(get_overview))
        .routes(routes!(events))
        .routes(routes!(switch))
}

/// Returns the figures of the whole server at one moment, with the history of an hour.
#[utoipa::path(
    get, path = "/admin/overview", tag = "cache",
    responses((status = 200, body = Overview), Refusals, AdminRefusals)
)]
async fn get_overview(Admin(access): Admin) -> Json<Overview> {
    Json(overview(&access.app))
}

/// Streams the live view. The event `overview` comes first, with the history of an hour. The event
/// `tick` comes each second and has the same figures without the history. The event `line` is one
/// line of the log. A client that connects again sends the id of its last line as `Last-Event-ID`
/// and receives the later ones, of which the server keeps the newest 500.
#[utoipa::path(
    get, path = "/admin/events", tag = "cache",
    params(("Last-Event-ID" = Option<u64>, Header)),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        Refusals, AdminRefusals
    )
)]
async fn events(Admin(access): Admin, headers: HeaderMap) -> ApiResult {
    let last_line = last_line(&headers)?;
    let streams = access.app.operate.streams.clone();
    let place = streams.try_acquire_owned();
    let place = place.map_err(|_| ApiError::too_many("too many live views; close some"))?;
    let permit = access.begin_wait(WaitKind::Stream)?;
    let view = LiveView::begin(access, last_line, place, permit);
    let events = stream::unfold(view, |mut view| async {
        let event = view.next().await?;
        Some((event, view))
    });
    let mut response = Response::new(ResponseBody::from_stream(Frames::new(events, HEARTBEAT)));
    let headers = response.headers_mut();
    let value = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, value("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), value("no"));
    headers.insert(header::CACHE_CONTROL, value("no-store"));
    Ok(response)
}

fn last_line(headers: &HeaderMap) -> ApiResult<u64> {
    let value = headers.get("last-event-id");
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(0);
    };
    let id = value.to_str().ok().and_then(|id| id.trim().parse().ok());
    id.ok_or_else(|| ApiError::unprocessable("`Last-Event-ID` must be the id of a line"))
}

/// The state of one stream.
struct LiveView {
    access: Access,
    frames: watch::Receiver<Bytes>,
    lines: watch::Receiver<()>,
    last_line: u64,
    ready: std::collections::VecDeque<Event>,
    ends_at: Instant,
    _place: OwnedSemaphorePermit,
    _permit: WaitPermit,
}

impl LiveView {
    fn begin(
        access: Access,
        last_line: u64,
        place: OwnedSemaphorePermit,
        permit: WaitPermit,
    ) -> Self {
        // Listening begins before the first read, so that nothing in between is missed.
        let (frames, mut lines) = (access.app.operate.listen(), log_ring().listen());
        lines.mark_changed();
        let first = rendered::Json::new(&overview(&access.app));
        Self {
            ends_at: Instant::now() + access.app.limits().stream_time,
            ready: [event("overview", first)].into(),
            access,
            frames,
            lines,
            last_line,
            _place: place,
            _permit: permit,
        }
    }

    /// Waits for the next event. Returns `None` if the caller's token or the stream's time has
    /// ended, or if the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let app = &self.access.app;
            tokio::select! {
                Ok(()) = self.lines.changed() => {
                    let lines = log_ring().after(self.last_line);
                    self.last_line = lines.last().map_or(self.last_line, |line| line.id);
                    self.ready.extend(lines.iter().map(|line| {
                        event("line", rendered::Json::new(line)).numbered(line.id)
                    }));
                }
                Ok(()) = self.frames.changed() => {
                    let frame = self.frames.borrow_and_update().clone();
                    self.ready.push_back(event("tick", frame));
                }
                () = app.stopping.cancelled() => return None,
                () = self.access.ended() => return None,
                () = tokio::time::sleep_until(self.ends_at) => return None,
            }
        }
    }
}

/// The path parameter of a region, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Ids` extracts")]
struct RegionPath {
    region: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RegionSwitch)]
struct SwitchBody {
    enabled: bool,
}

impl RequestBody for SwitchBody {}

#[derive(Serialize, ToSchema)]
struct Switched {
    region: String,
    /// `false` also while the store is lost: then all regions are off.
    enabled: bool,
}

/// Switches a region off or on. Reads bypass a region that is off. Switching empties it.
#[utoipa::path(
    patch, path = "/cache/regions/{region}", tag = "cache", params(RegionPath),
    request_body = SwitchBody,
    responses(
        (status = 200, body = Switched),
        (status = 404, body = Refusal, description = "The region does not exist"),
        Refusals, AdminRefusals, BodyRefusals
    )
)]
async fn switch(
    Admin(access): Admin,
    ids: Ids,
    Body(SwitchBody { enabled }, _permit): Body<SwitchBody>,
) -> ApiResult<Json<Switched>> {
    let region = ids.region();
    let off = (!enabled).then(|| ByHand {
        since: now(),
        user: access.user().to_string(),
    });
    if !access.app.operate.switches.set_by_hand(region, off) {
        return Err(ApiError::missing("region", region));
    }
    let what = if enabled {
        "region switched on"
    } else {
        "region switched off"
    };
    access.audit(what, region);
    let regions = access.app.cache.manager.stats();
    let mut regions = regions.iter().filter(|other| other.name == region);
    Ok(Json(Switched {
        region: region.to_owned(),
        enabled: regions.next().is_some_and(|region| region.is_enabled),
    }))
}
