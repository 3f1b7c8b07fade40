//! The service of all requests: the routes, and what happens to every request around them.
//!
//! It is one service instead of a layer for each task. A layer of a [`Router`] is called through a
//! pointer, allocates a future, and is cloned for each request.

use std::{
    convert::Infallible,
    fmt,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use tower::{Layer, Service, service_fn};
use tower_http::cors::CorsLayer;
use tracing::{Instrument as _, Span};

use super::{
    access::{bounded_network, peer_address, token},
    cors::{VARY, cors},
    error::{ApiError, panicked},
    polled::Polled,
    request_span::{record_response, request_span},
    routes::routes,
    sender::{Sender, Unanswered},
};
use crate::{
    auth::Role,
    bounds::Reserved,
    groups::Group,
    settings::Settings,
    state::{App, AppHandle},
};

/// The service of all requests. Clones share it.
///
/// * A handler that panics becomes a response with status 500.
/// * Responses are counted. Refusals and the administrator's writes are logged.
/// * Responses get headers that protect browsers.
/// * Browsers learn which origins may send requests (CORS).
#[derive(Clone)]
pub struct RequestService(Arc<Shared>);

struct Shared {
    app: AppHandle,
    routes: Router,
    cors: CorsLayer,
    /// `true` if polls are answered without the routes.
    answers_polls: bool,
}

impl fmt::Debug for RequestService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestService").finish_non_exhaustive()
    }
}

/// The services of all groups of connections.
#[derive(Debug)]
pub struct Services(Box<[RequestService]>);

impl Services {
    /// Creates the services of the program.
    pub fn new(app: &Arc<App>, settings: &Settings) -> Self {
        let service = |app| RequestService::new(app, settings);
        Self(handles(app).map(service).collect())
    }

    /// Creates services with other routes than those of the program. `routes` returns the routes of
    /// one group.
    pub fn around(
        app: &Arc<App>,
        settings: &Settings,
        routes: impl Fn(AppHandle) -> Router,
    ) -> Self {
        let service = |app: AppHandle| RequestService::around(routes(app.clone()), app, settings);
        Self(handles(app).map(service).collect())
    }

    /// Returns the services in turn, without an end.
    pub fn in_turn(&self) -> impl Iterator<Item = &RequestService> {
        self.0.iter().cycle()
    }
}

fn handles(app: &Arc<App>) -> impl Iterator<Item = AppHandle> {
    Group::all().map(|group| AppHandle::of(app.clone(), group))
}

impl RequestService {
    /// Creates the service of the program's routes.
    pub fn new(app: AppHandle, settings: &Settings) -> Self {
        Self(Arc::new(Shared {
            routes: routes(&app, settings),
            cors: cors(&settings.cors_origins),
            app,
            answers_polls: true,
        }))
    }

    /// Creates a service of other routes.
    pub fn around(routes: Router, app: AppHandle, settings: &Settings) -> Self {
        Self(Arc::new(Shared {
            app,
            routes,
            cors: cors(&settings.cors_origins),
            answers_polls: false,
        }))
    }

    /// Returns the response to a request.
    pub(crate) async fn respond<B>(self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Browsers name the origin of a page's requests, unless it is the server's own.
        if request.method() == Method::OPTIONS || request.headers().contains_key(header::ORIGIN) {
            // Boxed, so that it does not enlarge the future of a request without an origin.
            return Box::pin(self.respond_to_origin(request.map(Body::new))).await;
        }
        let mut response = self.observe(request).await;
        response.headers_mut().append(header::VARY, VARY);
        response
    }

    /// Returns the response with the headers of CORS, or that to a preflight.
    async fn respond_to_origin(self, request: Request) -> Response {
        let observed = service_fn(|request| self.observe(request).map(Ok::<_, Infallible>));
        let Ok(response) = self.0.cors.layer(observed).call(request).await;
        response
    }

    /// Counts the response, logs it if it is a refusal or the response to a write of the
    /// administrator, and adds headers.
    async fn observe<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let app = &self.0.app;
        let sender = Sender::of(app, &request);
        let is_reserved = request.extensions().get::<Reserved>().is_some();
        let began = Instant::now();
        let _active = app.latencies.begin(app.group(), &sender.method);
        // Handlers finish a write even if the client closes the connection meanwhile.
        let mut unanswered = Unanswered::new(app, &sender);
        let mut response = if is_reserved && !may_use_reserve(app, &request) {
            ApiError::too_many("too many connections; try again later").into_response()
        } else {
            let span = self.span(&sender, &request);
            let handled = AssertUnwindSafe(self.handle(request)).catch_unwind();
            let handled = handled.instrument(span.clone()).await;
            let response = handled.unwrap_or_else(panicked);
            record_response(&span, &response);
            response
        };
        unanswered.answer();
        let status = response.status();
        app.status_counts.count(app.group(), status);
        if let Some(route) = sender.route
            && !sender.waits()
        {
            let (method, time) = (&sender.method, began.elapsed());
            app.latencies
                .record(app.group(), route, method, status, time);
        }
        add_headers(response.headers_mut(), is_reserved);
        if status.is_client_error() || status.is_server_error() {
            sender.log_refusal(app, &mut response);
        } else if !sender.method.is_safe() {
            sender.log_write(app, Some(status));
        }
        response
    }

    fn span<B>(&self, sender: &Sender, request: &Request<B>) -> Span {
        let app = &self.0.app;
        if !app.is_traced {
            return Span::none();
        }
        let parent = may_continue_trace(app, request).then(|| request.headers());
        let route = sender.route.map(|route| app.routes.path(route));
        request_span(&sender.method, route, parent)
    }

    async fn handle<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if self.0.answers_polls
            && let Some(polled) = Polled::parse(request.method(), request.uri().path())
        {
            return polled.respond(&self.0.app, request.into_parts().0).await;
        }
        let Ok(response) = self.0.routes.clone().call(request.map(Body::new)).await;
        response
    }
}

/// For other programs, whose routers can contain this service.
impl Service<Request> for RequestService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.clone().respond(request).map(Ok).boxed()
    }
}

/// Returns `true` if a request has a trace that it may continue: it comes from a trusted proxy, or
/// from the administrator. Others could have any number of traces exported.
fn may_continue_trace<B>(app: &App, request: &Request<B>) -> bool {
    request.headers().contains_key("traceparent")
        && (app.auth.proxies.trusts(peer_address(request.extensions()))
            || bounded_network(app, request).is_none())
}

/// Returns `true` for the requests that a connection of the reserve serves: health checks, and
/// those of the administrator.
fn may_use_reserve<B>(app: &App, request: &Request<B>) -> bool {
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
