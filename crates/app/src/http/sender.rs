//! The sender of a request, as log lines name it.

use std::{net::IpAddr, sync::Arc};

use axum::{
    http::{HeaderValue, Method, StatusCode, uri::PathAndQuery},
    response::Response,
};

use super::{access::token_in, error::Cause};
use crate::{
    auth::{Role, Verified, network},
    bounds::Unlogged,
    route_table::RouteIndex,
    state::App,
};

/// The length of a path in the log line of a refusal, in bytes.
const MOST_PATH_BYTES: usize = 200;

/// The sender of a request and its path, for logs, traces and the reserve of connections.
pub(super) struct Sender<'a> {
    pub(super) method: &'a Method,
    /// `None` for a path that is not of the interface.
    pub(super) route: Option<RouteIndex>,
    pub(super) path: Option<&'a PathAndQuery>,
    pub(super) address: IpAddr,
    pub(super) token: Option<&'a HeaderValue>,
}

/// A write that is not answered yet. If the client closes the connection before, dropping it logs
/// the write, whose result is then not known.
pub(super) struct Unanswered<'a> {
    app: &'a App,
    sender: &'a Sender<'a>,
    is_answered: bool,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(app: &'a App, sender: &'a Sender<'a>) -> Self {
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

impl Sender<'_> {
    /// Returns `true` if the request may wait for a message. Its time says nothing about the
    /// server.
    pub(super) fn waits(&self) -> bool {
        let query = self.path.and_then(PathAndQuery::query);
        query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("wait=")))
    }

    /// Returns the path without the query, which may contain a ticket.
    fn path(&self) -> &str {
        self.path.map_or("", PathAndQuery::path)
    }

    /// Returns the token, which is not verified.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.and_then(token_in)
    }

    /// Returns the caller. `None` if the token is missing or no longer valid.
    fn verified(&self, app: &App) -> Option<Arc<Verified>> {
        app.auth.tokens.verify(self.token()?)
    }

    /// Returns `true` if the caller is the administrator.
    pub(super) fn is_admin(&self, app: &App) -> bool {
        let verified = self.verified(app);
        verified.is_some_and(|verified| verified.caller.role == Role::Admin)
    }

    /// Returns `true` for the requests that a connection of the reserve serves: health checks, and
    /// those of the administrator.
    pub(super) fn may_use_reserve(&self, app: &App) -> bool {
        let health = ["/health", "/auth/health"];
        health.iter().any(|path| self.path().starts_with(path)) || self.is_admin(app)
    }

    /// Logs a write of the administrator. `status` is `None` if nobody received the response.
    pub(super) fn log_write(&self, app: &App, status: Option<StatusCode>) {
        let verified = self.verified(app);
        let Some(caller) = verified.as_ref().map(|verified| &verified.caller) else {
            return;
        };
        if caller.role != Role::Admin {
            return;
        }
        tracing::info!(
            target: "audit",
            user = %caller.user,
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
        let method = self.method;
        let path = self.path();
        // Most paths are shorter. A longer one would fill the log.
        let path = &path[..path.floor_char_boundary(MOST_PATH_BYTES)];
        let route = self.route.map_or("unknown", |route| app.routes.path(route));
        if let Some(Cause(cause)) = cause {
            tracing::error!(request = %id, %method, route, path, status, cause, "request failed");
        }
        let verified = self.verified(app);
        let user = verified
            .as_ref()
            .map_or("unknown", |verified| verified.caller.user.as_str());
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
