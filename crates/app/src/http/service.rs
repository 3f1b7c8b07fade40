//! The service of all requests: the routes, and what happens to every request around them.
//!
//! It is one service instead of a layer for each task. A layer of a [`Router`] is called through a
//! pointer, allocates a future, and is cloned for each request.

use std::{
    convert::Infallible,
    fmt,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{Extensions, HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use tower::{Layer, Service, service_fn};
use tower_http::cors::CorsLayer;
use tracing::{Instrument as _, Span};

use super::{
    access::{Access, client_address, peer_address, token_header},
    common_headers,
    cors::{VARY, cors},
    error::{ApiError, panicked},
    polled::PolledRoutes,
    query::Query,
    request_span::{record_response, request_span},
    routes::routes,
    sender::{Sender, Unanswered},
};
use crate::{
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
    /// `None` if all requests are answered by the routes.
    polled_routes: Option<PolledRoutes>,
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
            polled_routes: Some(PolledRoutes::new(&app.routes)),
            app,
        }))
    }

    /// Creates a service of other routes.
    pub fn around(routes: Router, app: AppHandle, settings: &Settings) -> Self {
        Self(Arc::new(Shared {
            app,
            routes,
            cors: cors(&settings.cors_origins),
            polled_routes: None,
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
        let mut response = self.respond_without_cors(request).await;
        response.headers_mut().append(header::VARY, VARY);
        response
    }

    /// Returns the response with the headers of CORS, or that to a preflight.
    async fn respond_to_origin(self, request: Request) -> Response {
        let respond =
            service_fn(|request| self.respond_without_cors(request).map(Ok::<_, Infallible>));
        let Ok(response) = self.0.cors.layer(respond).call(request).await;
        response
    }

    /// Returns the response without the headers of CORS.
    async fn respond_without_cors<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let app = &self.0.app;
        let (parts, body) = request.into_parts();
        let address = client_address(app, &parts.extensions, &parts.headers);
        let is_reserved = parts.extensions.get::<Reserved>().is_some();
        // Requests of the reserve go through the routes, where the reserve is checked.
        let polled_routes = self.0.polled_routes.as_ref().filter(|_| !is_reserved);
        let (method, path) = (&parts.method, parts.uri.path());
        let Some(polled) = polled_routes.and_then(|routes| routes.parse(method, path)) else {
            let request = Request::from_parts(parts, Body::new(body));
            // Boxed, so that it does not enlarge the future of a polled path.
            return Box::pin(self.respond_by_route(request, address, is_reserved)).await;
        };
        // As by the extractors of the routes: hyper reads the rest, or closes the connection.
        drop(body);
        let (headers, query) = (&parts.headers, Query(parts.uri));
        let sender = Sender {
            method: &parts.method,
            route: Some(polled.route),
            path: query.0.path_and_query(),
            address,
            token: token_header(headers),
        };
        let span = self.span(&sender, headers, &parts.extensions);
        let respond = async {
            let access = Access::of(app, address, sender.token(), headers);
            polled.respond(access, &query).await
        };
        self.observe(&sender, span, respond).await
    }

    /// Returns the response of the routes.
    async fn respond_by_route(
        &self,
        request: Request,
        address: IpAddr,
        is_reserved: bool,
    ) -> Response {
        let app = &self.0.app;
        // Cloned, because the routes consume the request.
        let method = request.method().clone();
        let path = request.uri().path_and_query().cloned();
        let token = token_header(request.headers()).cloned();
        let sender = Sender {
            method: &method,
            route: app.routes.find(request.uri().path()),
            path: path.as_ref(),
            address,
            token: token.as_ref(),
        };
        let is_refused = is_reserved && !sender.may_use_reserve(app);
        let span = if is_refused {
            Span::none()
        } else {
            self.span(&sender, request.headers(), request.extensions())
        };
        let respond = async {
            if is_refused {
                let detail = "too many connections; try again later";
                return ApiError::too_many(detail).into_response();
            }
            let Ok(response) = self.0.routes.clone().call(request).await;
            response
        };
        let mut response = self.observe(&sender, span, respond).await;
        if is_reserved {
            // The connection becomes free for the next administrator or health check.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    /// Counts the response of a handler, logs it if it is a refusal or the response to a write of
    /// the administrator, and adds headers.
    async fn observe(
        &self,
        sender: &Sender<'_>,
        span: Span,
        respond: impl Future<Output = Response>,
    ) -> Response {
        let app = &self.0.app;
        let began = Instant::now();
        let _active = app.latencies.begin(app.group(), sender.method);
        // Handlers finish a write even if the client closes the connection meanwhile.
        let mut unanswered = Unanswered::new(app, sender);
        let handled = AssertUnwindSafe(respond).catch_unwind();
        let handled = handled.instrument(span.clone()).await;
        let mut response = handled.unwrap_or_else(panicked);
        record_response(&span, &response);
        unanswered.answer();
        let status = response.status();
        app.status_counts.count(app.group(), status);
        if let Some(route) = sender.route
            && !sender.waits()
        {
            let (method, time) = (sender.method, began.elapsed());
            app.latencies
                .record(app.group(), route, method, status, time);
        }
        common_headers::add_missing(response.headers_mut());
        if status.is_client_error() || status.is_server_error() {
            sender.log_refusal(app, &mut response);
        } else if !sender.method.is_safe() {
            sender.log_write(app, Some(status));
        }
        response
    }

    fn span(&self, sender: &Sender<'_>, headers: &HeaderMap, extensions: &Extensions) -> Span {
        let app = &self.0.app;
        if !app.is_traced {
            return Span::none();
        }
        // Other senders could have any number of traces exported.
        let may_continue_trace = headers.contains_key("traceparent")
            && (app.auth.proxies.trusts(peer_address(extensions)) || sender.is_admin(app));
        let route = sender.route.map(|route| app.routes.path(route));
        request_span(sender.method, route, may_continue_trace.then_some(headers))
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
