//! Extractors for the sender of a request. [`Access`] requires a valid token, [`Open`] does not.

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

/// The caller of a request, and the ports for its reads and writes.
///
/// Reads go through the cache, or bypass it if the request has the header `Cache-Control:
/// no-cache`.
///
/// As an extractor, it refuses requests without a valid token, and requests above the caller's rate
/// limit. Routes outside of [`crate::router`] can use it too.
pub struct Access {
    pub(crate) app: Arc<App>,
    /// The verified token. All requests with the same token share it.
    verified: Arc<Verified>,
    bypasses_cache: bool,
}

/// The sender of a request that needs no token.
///
/// As an extractor, it refuses requests above the rate limit of the sender's address.
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
            // Counted by address, which limits how fast tokens can be guessed.
            auth.rates.request(address(parts, app))?;
            return Err(ApiError::unauthenticated());
        };
        verified.count()?;
        // A guest can get any number of tokens by logging in, so its address is counted too.
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

    /// Returns the ports of this request. Their reads go through the cache or bypass it; in both
    /// cases, their writes invalidate cached values.
    pub fn ports(&self) -> &Repositories {
        if self.bypasses_cache {
            &self.app.cache.bypassing
        } else {
            &self.app.cache.repositories
        }
    }

    /// Returns a renderer that reads through the same ports as [`Access::ports`].
    pub(crate) fn renderer(&self) -> Renderer<'_> {
        if self.bypasses_cache {
            Renderer::bypassing(&self.app.cache)
        } else {
            Renderer::cached(&self.app.cache, &self.app.rendered)
        }
    }

    /// Returns a room. Fails with 404 if the room does not exist, and with 403 if the caller may
    /// not enter it.
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

    /// Fails with 403 unless the caller is the administrator.
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

/// Returns the token from the header `X-API-Key` or, without this header, from `Authorization`.
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

/// Returns the client's address. A request without a peer's address, as in tests, has the
/// unspecified address `0.0.0.0`.
fn address(parts: &Parts, app: &App) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    app.auth.proxies.client(peer, &parts.headers)
}
