//! Extractors for the caller: [`Access`] with a token, [`Open`] without one.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
};
use domain::{Repositories, Room, RoomId, UserId};

use super::{
    error::{ApiError, ApiResult},
    rendered::Renderer,
};
use crate::{
    auth::{Caller, Role, Verified},
    state::App,
};

/// The caller of a request, and the ports as the request reads them: through the cache, or
/// bypassing it if it carries `Cache-Control: no-cache`.
///
/// It is an extractor, also for routes beside [`crate::router`]'s. It refuses a request without a
/// valid token, and a request beyond the caller's rate limit.
pub struct Access {
    pub(crate) app: Arc<App>,
    /// Shared by all requests with the same token.
    verified: Arc<Verified>,
    bypasses_cache: bool,
}

/// The sender of a request that needs no token. It is an extractor, which refuses requests beyond
/// the rate limit of the sender's address.
pub struct Open {
    pub(crate) app: Arc<App>,
    pub(crate) address: IpAddr,
}

impl FromRequestParts<Arc<App>> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let auth = &app.auth;
        let Some(verified) = token(&parts.headers).and_then(|token| auth.tokens.verify(token))
        else {
            // Counted by address, so that tokens cannot be guessed faster than passwords.
            auth.rates.request(address(parts, app))?;
            return Err(ApiError::unauthenticated());
        };
        verified.count()?;
        // Each guest login yields another token, so the address counts too.
        if verified.caller.role == Role::Guest {
            auth.rates.request(address(parts, app))?;
        }
        Ok(Self::new(app.clone(), verified, &parts.headers))
    }
}

impl FromRequestParts<Arc<App>> for Open {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let address = address(parts, app);
        app.auth.rates.request(address)?;
        Ok(Self {
            app: app.clone(),
            address,
        })
    }
}

impl Access {
    /// Creates the access of a caller whose token or ticket was verified.
    pub(crate) fn new(app: Arc<App>, verified: Arc<Verified>, headers: &HeaderMap) -> Self {
        Self {
            app,
            verified,
            bypasses_cache: wants_bypass(headers),
        }
    }

    /// Returns the caller.
    pub fn caller(&self) -> &Caller {
        &self.verified.caller
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.caller().user
    }

    /// Returns the ports as this request reads them. Writes are guarded either way.
    pub fn ports(&self) -> &Repositories {
        if self.bypasses_cache {
            &self.app.cache.bypassing
        } else {
            &self.app.cache.repositories
        }
    }

    /// Returns a renderer that reads as [`Access::ports`] does.
    pub(crate) fn renderer(&self) -> Renderer<'_> {
        if self.bypasses_cache {
            Renderer::bypassing(&self.app.cache)
        } else {
            Renderer::cached(&self.app.cache, &self.app.rendered)
        }
    }

    /// Returns the room if it exists (else 404) and the caller may enter it (else 403).
    pub(crate) async fn room(&self, id: RoomId) -> ApiResult<Arc<Room>> {
        let found = self.ports().rooms.find(id).await?;
        let room = found.ok_or_else(|| ApiError::missing("room", id))?;
        if room.admits(self.user()) {
            Ok(room)
        } else {
            let detail = format!("room {id} belongs to another user");
            Err(ApiError::new(StatusCode::FORBIDDEN, detail))
        }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.caller().role == Role::Admin
    }

    /// Refuses callers other than the administrator with 403.
    pub(crate) fn require_admin(&self) -> ApiResult<()> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "This action requires admin privileges",
            ))
        }
    }
}

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Returns the token that a request carries. `X-API-Key` takes precedence.
fn token(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(&API_KEY) {
        return key.to_str().ok();
    }
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn wants_bypass(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

/// Returns the client's address. Requests without a peer address share the unspecified one.
fn address(parts: &Parts, app: &App) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    app.auth.proxies.client(peer, &parts.headers)
}
