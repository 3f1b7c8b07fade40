//! The sender of a request, as log lines name it.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, uri::PathAndQuery},
    response::Response,
};

use super::{
    access::{client_address, token_header, token_in},
    error::Cause,
};
use crate::{
    auth::{Role, network},
    bounds::Unlogged,
    route_table::RouteIndex,
    state::App,
};

/// The length of a path in the log line of a refusal, in bytes.
const MOST_PATH_BYTES: usize = 200;

/// The parts of a request that log lines name.
pub(super) struct Sender {
    pub(super) method: Method,
    /// `None` for a path that is not of the interface.
    pub(super) route: Option<RouteIndex>,
    path: Option<PathAndQuery>,
    address: IpAddr,
    token: Option<HeaderValue>,
}

/// A write that is not answered yet. If the client closes the connection before, dropping it logs
/// the write, whose result is then not known.
pub(super) struct Unanswered<'a> {
    app: &'a App,
    sender: &'a Sender,
    is_answered: bool,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(app: &'a App, sender: &'a Sender) -> Self {
        Self {
            app,
            sender,
            is_answered: sender.method.is_safe(),
        }
    }

    pub(super) fn answer(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.sender.log_write(self.app, None);
        }
    }
}

impl Sender {
    pub(super) fn of<B>(app: &App, request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            route: app.routes.find(request.uri().path()),
            path: request.uri().path_and_query().cloned(),
            address: client_address(app, request.extensions(), request.headers()),
            token: token_header(request.headers()).cloned(),
        }
    }

    /// Returns `true` if the request may wait for a message. Its time says nothing about the
    /// server.
    pub(super) fn waits(&self) -> bool {
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
    pub(super) fn log_write(&self, app: &App, status: Option<StatusCode>) {
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
    pub(super) fn log_refusal(&self, app: &App, response: &mut Response) {
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
        let route = self.route.map_or("unknown", |route| app.routes.path(route));
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
