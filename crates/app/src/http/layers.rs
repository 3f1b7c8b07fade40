//! The middleware of all requests: panic handling, counting, logging, security headers and CORS.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};
use tracing::{Instrument as _, Span};

use super::{
    access::{bounded_network, client_address, peer_address, token, token_header, token_in},
    error::{self, ApiError, Cause},
    request_span::{record_response, request_span},
};
use crate::{
    auth::{Role, network},
    bounds::{Reserved, Unlogged},
    settings::Settings,
    state::App,
};

/// A middleware that handles every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Responds with 500 if a handler panics.
    Panics,
    /// Counts responses, logs refusals and the administrator's writes, and adds headers that
    /// protect browsers.
    Counts,
    /// Tells browsers which origins may send requests (CORS).
    Origins,
}

impl Layer {
    /// All layers, the innermost first.
    ///
    /// CORS is outermost, so that refusals have its headers too. Counting is outside of panic
    /// handling, so that the response to a panic is counted.
    pub const ALL: [Self; 3] = [Self::Panics, Self::Counts, Self::Origins];

    /// Wraps the routes in this layer only.
    pub fn around(self, routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
        match self {
            Self::Panics => routes.layer(CatchPanicLayer::custom(error::panicked)),
            Self::Counts => routes.layer(from_fn_with_state(app.clone(), observe)),
            Self::Origins => routes.layer(cors(&settings.cors_origins)),
        }
    }
}

/// Wraps routes in all layers.
pub fn with_layers(routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
    Layer::ALL
        .into_iter()
        .fold(routes, |routes, layer| layer.around(routes, app, settings))
}

fn cors(origins: &[String]) -> CorsLayer {
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(
            origins.iter().filter_map(|origin| origin.parse().ok()),
        ))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::CACHE_CONTROL,
            header::IF_NONE_MATCH,
            name("x-api-key"),
            name("last-event-id"),
            name("idempotency-key"),
            name("ngrok-skip-browser-warning"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            name("cache-status"),
            name("greenroom-log-version"),
            name("x-request-id"),
        ])
        .max_age(Duration::from_mins(10))
}

/// The length of a path in the log line of a refusal, in bytes.
const MOST_PATH_BYTES: usize = 200;

/// The parts of a request that log lines name.
struct Sender {
    method: Method,
    /// The route, such as `/rooms/{room}`; `None` for a path without a route.
    route: Option<MatchedPath>,
    path: Option<PathAndQuery>,
    address: IpAddr,
    token: Option<HeaderValue>,
}

/// Counts the response, logs it if it is a refusal or the response to a write of the administrator,
/// and adds headers.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let sender = Sender::of(&app, &request);
    let is_reserved = request.extensions().get::<Reserved>().is_some();
    let began = Instant::now();
    let _active = app.latencies.begin(&sender.method);
    // Handlers finish a write even if the client closes the connection meanwhile.
    let mut unanswered = Unanswered {
        app: &app,
        sender: &sender,
        is_answered: sender.method.is_safe(),
    };
    let mut response = if is_reserved && !may_use_reserve(&app, &request) {
        ApiError::too_many("too many connections; try again later").into_response()
    } else {
        let span = if app.is_traced {
            let parent = may_continue_trace(&app, &request).then(|| request.headers());
            request_span(&sender.method, sender.route.as_ref(), parent)
        } else {
            Span::none()
        };
        let response = next.run(request).instrument(span.clone()).await;
        record_response(&span, &response);
        response
    };
    unanswered.is_answered = true;
    app.status_counts.count(response.status());
    if let Some(route) = &sender.route
        && !sender.waits()
    {
        let (method, status) = (&sender.method, response.status());
        app.latencies
            .record(route.as_str(), method, status, began.elapsed());
    }
    add_headers(response.headers_mut(), is_reserved);
    if response.status().is_client_error() || response.status().is_server_error() {
        sender.log_refusal(&app, &mut response);
    } else if !sender.method.is_safe() {
        sender.log_write(&app, Some(response.status()));
    }
    response
}

/// Returns `true` if a request has a trace that it may continue: it comes from a trusted proxy, or
/// from the administrator. Others could have any number of traces exported.
fn may_continue_trace(app: &App, request: &Request) -> bool {
    request.headers().contains_key("traceparent")
        && (app.auth.proxies.trusts(peer_address(request.extensions()))
            || bounded_network(app, request).is_none())
}

/// Returns `true` for the requests that a connection of the reserve serves: health checks, and
/// those of the administrator.
fn may_use_reserve(app: &App, request: &Request) -> bool {
    let is_health_check = ["/health", "/auth/health"]
        .iter()
        .any(|path| request.uri().path().starts_with(path));
    let verified = token(request.headers()).and_then(|token| app.auth.tokens.verify(token));
    is_health_check || verified.is_some_and(|verified| verified.caller.role == Role::Admin)
}

/// Adds headers that are the same in all responses, unless the handler set them.
fn add_headers(headers: &mut HeaderMap, is_reserved: bool) {
    let mut add = |name, value| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    // Browsers and proxies must not cache responses, because only this process knows when a
    // response becomes stale.
    add(header::CACHE_CONTROL, "no-store");
    // The interface contains nothing that a browser should run, show in a frame, or guess the type
    // of. The address of a page may contain ids, so other servers must not learn it.
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    add(header::REFERRER_POLICY, "no-referrer");
    if is_reserved {
        // The connection becomes free for the next administrator or health check.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// A write that is not answered yet. If the client closes the connection before, dropping it logs
/// the write, whose result is then not known.
struct Unanswered<'a> {
    app: &'a App,
    sender: &'a Sender,
    is_answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.sender.log_write(self.app, None);
        }
    }
}

impl Sender {
    fn of(app: &App, request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            path: request.uri().path_and_query().cloned(),
            address: client_address(app, request.extensions(), request.headers()),
            token: token_header(request.headers()).cloned(),
        }
    }

    /// Returns `true` if the request may wait for a message. Its time says nothing about the
    /// server.
    fn waits(&self) -> bool {
        let query = self.path.as_ref().and_then(PathAndQuery::query);
        query.is_some_and(|query| query.contains("wait="))
    }

    /// Returns the path without the query, which may contain a ticket.
    fn path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    /// Returns the caller's id and role. `None` if the token is missing or no longer valid.
    fn caller(&self, app: &App) -> Option<(String, Role)> {
        let token = self.token.as_ref().and_then(token_in)?;
        let caller = &app.auth.tokens.verify(token)?.caller;
        Some((caller.user.to_string(), caller.role))
    }

    /// Logs a write of the administrator. `status` is `None` if nobody received the response.
    fn log_write(&self, app: &App, status: Option<StatusCode>) {
        let Some((user, Role::Admin)) = self.caller(app) else {
            return;
        };
        tracing::info!(
            target: "audit",
            %user,
            address = %self.address,
            method = %self.method,
            path = self.path(),
            status = status.map(|status| status.as_u16()),
            "written"
        );
    }

    /// Logs a refusal with a new id, which the response has as `X-Request-Id`. Failures with a
    /// cause are always logged. Of other refusals, only some have a line and an id.
    fn log_refusal(&self, app: &App, response: &mut Response) {
        let status = response.status();
        let cause = response.extensions_mut().remove::<Cause>();
        if cause.is_none() {
            let admission = app.bounds.log_lines.admit(network(self.address), status);
            admission.earlier.iter().for_each(Unlogged::log);
            if !admission.has_line {
                return;
            }
        }
        let id = format!("{:016x}", rand::random::<u64>());
        let status = status.as_u16();
        let method = &self.method;
        let path = self.path();
        // Most paths are shorter. A longer one would fill the log.
        let path = &path[..path.floor_char_boundary(MOST_PATH_BYTES)];
        let route = self.route.as_ref().map_or("unknown", MatchedPath::as_str);
        if let Some(Cause(cause)) = cause {
            tracing::error!(request = %id, %method, route, path, status, cause, "request failed");
        }
        let caller = self.caller(app);
        let user = caller.as_ref().map_or("unknown", |(user, _)| user.as_str());
        tracing::info!(
            target: "audit",
            request = %id,
            user,
            address = %self.address,
            %method,
            route,
            path,
            status,
            "request refused"
        );
        response.headers_mut().insert(
            "x-request-id",
            HeaderValue::from_str(&id).expect("hexadecimal digits are a header value"),
        );
    }
}
