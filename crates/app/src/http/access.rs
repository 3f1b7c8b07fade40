//! Extractors for the sender of a request. [`Access`] requires a valid token, [`Admin`] one of the
//! administrator. [`Open`] requires none.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};
use cache_adapter::Cache;
use domain::{Repositories, Room, RoomId, UserId};

use super::{
    error::{ApiError, ApiResult},
    rendered::Renderer,
};
use crate::{
    auth::{Caller, Counted, Role, Verified, network},
    bounds::{SenderBytes, WaitKind, WaitPermit},
    http_counts::LoginOutcome,
    state::{App, AppHandle},
};

/// The caller of a request, and the ports for its reads and writes.
///
/// Reads go through the cache. They bypass it if the request has the header `Cache-Control:
/// no-cache`, and if its caller may do that.
///
/// As an extractor, it refuses requests without a valid token, and requests above the caller's rate
/// limit. Routes outside of [`crate::router`] can use it too.
pub struct Access {
    pub(crate) app: AppHandle,
    /// The verified token. All requests with the same token share it.
    verified: Arc<Verified>,
    address: IpAddr,
    bypasses_cache: bool,
}

/// The administrator as the caller of a request.
///
/// As an extractor, it refuses all other callers before the body of the request is read.
pub(crate) struct Admin(pub(crate) Access);

/// The sender of a request that needs no token.
///
/// As an extractor, it refuses requests above the rate limit of the sender's address.
pub struct Open {
    pub(crate) app: AppHandle,
    pub(crate) address: IpAddr,
}

/// The sender of a health check. Health checks are counted apart from other requests, so that they
/// are answered when an address has used up its other limits.
pub(crate) struct HealthCheck(pub(crate) AppHandle);

/// The sender of a login. As an extractor, it counts the login before the body is read.
pub(crate) struct Login(pub(crate) Open);

impl FromRequestParts<AppHandle> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
        let address = client_address(app, &parts.extensions, &parts.headers);
        Self::of(app, address, token(&parts.headers), &parts.headers)
    }
}

impl FromRequestParts<AppHandle> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
        let access = Access::from_request_parts(parts, app).await?;
        access.require_admin()?;
        Ok(Self(access))
    }
}

impl FromRequestParts<AppHandle> for Open {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
        Self::count(Counted::Open, parts, app)
    }
}

impl FromRequestParts<AppHandle> for HealthCheck {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
        Open::count(Counted::Health, parts, app).map(|open| Self(open.app))
    }
}

impl FromRequestParts<AppHandle> for Login {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
        // A wrong address matters most for logins, so it is reported at the first one.
        let peer = peer_address(&parts.extensions);
        app.auth.proxies.warn_if_ignored(peer, &parts.headers);
        let counted = Open::count(Counted::Logins, parts, app);
        if counted.is_err() {
            app.logins.count(LoginOutcome::Limited);
        }
        counted.map(Self)
    }
}

impl Open {
    fn count(counted: Counted, parts: &Parts, app: &AppHandle) -> Result<Self, ApiError> {
        let address = client_address(app, &parts.extensions, &parts.headers);
        app.auth.count(counted, address)?;
        Ok(Self {
            app: app.clone(),
            address,
        })
    }
}

impl Access {
    /// Returns the access of a request. `token` is that of `headers`. Refuses requests without a
    /// valid token, and requests above the caller's rate limit.
    pub(super) fn of(
        app: &AppHandle,
        address: IpAddr,
        token: Option<&str>,
        headers: &HeaderMap,
    ) -> ApiResult<Self> {
        let auth = &app.auth;
        let Some(verified) = token.and_then(|token| auth.tokens.verify(token)) else {
            // Counted by address, which limits how fast tokens can be guessed.
            auth.count(Counted::WrongTokens, address)?;
            return Err(ApiError::unauthenticated());
        };
        auth.count_token(&verified)?;
        // A guest can get any number of tokens by logging in, so its address is counted too.
        if verified.caller.role == Role::Guest {
            auth.count(Counted::Guests, address)?;
        }
        Ok(Self::new(app.clone(), verified, address, headers))
    }

    /// Creates the access of a caller whose token or ticket was verified.
    pub(crate) fn new(
        app: AppHandle,
        verified: Arc<Verified>,
        address: IpAddr,
        headers: &HeaderMap,
    ) -> Self {
        // A bypass costs the store what the cache saves, so guests need the operator's consent.
        let bypasses_cache = wants_bypass(headers)
            && (verified.caller.role == Role::Admin || app.limits().guests_bypass_cache);
        Self {
            app,
            verified,
            address,
            bypasses_cache,
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
        let app = &self.app;
        if self.bypasses_cache {
            Renderer::bypassing(&app.cache, self.images(), self.texts())
        } else {
            Renderer::cached(&app.cache, &app.rendered, self.images(), self.texts())
        }
    }

    /// Returns the bytes of images that responses to the caller may have.
    pub(crate) fn images(&self) -> SenderBytes<'_> {
        self.app.bounds.image_bytes.of(self.guest_network())
    }

    fn texts(&self) -> SenderBytes<'_> {
        self.app.bounds.text_bytes.of(self.guest_network())
    }

    /// Returns a renderer as [`Access::renderer`] does, with or without images.
    pub(crate) fn renderer_with(&self, images: bool) -> Renderer<'_> {
        let renderer = self.renderer();
        if images {
            renderer
        } else {
            renderer.without_images()
        }
    }

    /// Returns the cache; `None` if the request bypasses it.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        (!self.bypasses_cache).then_some(&self.app.cache)
    }

    /// Fails as [`Access::room`] does, without reading the room if memory says that it admits the
    /// caller.
    pub(crate) async fn enter(&self, id: RoomId) -> ApiResult<()> {
        let admits = self
            .cache()
            .is_some_and(|cache| cache.admits(id, self.user()));
        if !admits {
            // Boxed, so that the read does not enlarge the future of a hit.
            Box::pin(self.room(id)).await?;
        }
        Ok(())
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

    /// Logs a write of the administrator, with the object that it created or changed.
    pub(crate) fn audit(&self, what: &str, object: impl Display) {
        if self.is_admin() {
            let (user, address) = (self.user(), self.address);
            tracing::info!(target: "audit", %user, %address, %object, "{what}");
        }
    }

    /// Returns the verified token.
    pub(crate) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Waits until the caller's token is expired or revoked.
    pub(crate) async fn ended(&self) {
        self.app.auth.tokens.ended(&self.verified).await;
    }

    /// Returns `true` if the caller's token is expired or revoked.
    pub(crate) fn has_ended(&self) -> bool {
        !self.app.auth.tokens.is_current(&self.verified)
    }

    /// Counts a request that waits. Fails with 429 if the caller has too many of them.
    pub(crate) fn begin_wait(&self, kind: WaitKind) -> ApiResult<WaitPermit> {
        let guest = self.guest_network();
        let guest = guest.map(|network| (network, self.user().clone()));
        let waits = &self.app.bounds.waits;
        waits
            .begin(kind, guest, &self.app.limits())
            .map_err(|_| ApiError::too_many("too many event streams and waiting polls; close some"))
    }

    /// Returns the network of a guest; `None` for the administrator.
    pub(crate) fn guest_network(&self) -> Option<IpAddr> {
        (!self.is_admin()).then(|| network(self.address))
    }

    /// Fails with 403 unless the caller may delete what it owns: the administrator may, and guests
    /// may if the settings allow it.
    pub(crate) fn require_deletion(&self) -> ApiResult<()> {
        if self.app.limits().guests_delete {
            Ok(())
        } else {
            self.require_admin()
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

/// Returns the token from the header `X-API-Key` or, if this header is missing or empty, from
/// `Authorization`.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    token_header(headers).and_then(token_in)
}

/// Returns the header that contains the token.
pub(super) fn token_header(headers: &HeaderMap) -> Option<&HeaderValue> {
    let key = headers.get(&API_KEY).filter(|key| !key.is_empty());
    key.or_else(|| headers.get(header::AUTHORIZATION))
}

/// The scheme of a token in `Authorization`.
const BEARER: &str = "Bearer ";

/// Returns the token in one of the two headers. Only in `Authorization` the scheme `Bearer` stands
/// before it.
pub(super) fn token_in(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    match text.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => Some(token.trim()),
        // Another scheme and its credentials are no valid token either.
        _ => Some(text),
    }
}

fn wants_bypass(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

/// Returns the network of a request's sender; `None` if it is the administrator.
pub(super) fn bounded_network<B>(app: &App, request: &Request<B>) -> Option<IpAddr> {
    let verified = token(request.headers()).and_then(|token| app.auth.tokens.verify(token));
    if verified.is_some_and(|verified| verified.caller.role == Role::Admin) {
        return None;
    }
    let address = client_address(app, request.extensions(), request.headers());
    Some(network(address))
}

/// Returns the client's address.
pub(super) fn client_address(app: &App, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
    app.auth.proxies.client(peer_address(extensions), headers)
}

/// Returns the address of the connection. A request without a connection, as in tests, has the
/// unspecified address `0.0.0.0`.
pub(super) fn peer_address(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}
