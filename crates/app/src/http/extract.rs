//! What handlers take from a request: the caller's access, ids, queries, bodies.

use std::{
    borrow::Cow,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use cache_adapter::{Cache, Provenance, observe};
use domain::{AgentId, Repositories, Room, RoomId, UserId};
use futures_util::FutureExt;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use tokio::sync::OwnedSemaphorePermit;

use super::error::{Answer, ApiError};
use crate::{
    auth::{Caller, Role, Verified},
    settings::Time,
    wiring::App,
};

/// Who calls, and the ports as this request wishes them: through the cache, or past it. An extractor, for routes beside
/// [`crate::router`]'s, too: a request without a good token is refused, and so is one beyond the limits of its caller.
pub struct Access {
    pub(crate) app: Arc<App>,
    /// Shared with whoever carries the same token.
    verified: Arc<Verified>,
    /// Whether reads are to pass the cache.
    past: bool,
}

/// A request that is open to everybody, counted by address: an extractor that refuses what is beyond the limits.
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
            auth.rates.request(address(parts, app))?;
            return Err(ApiError::nobody());
        };
        verified.count()?;
        // A guest is another at each login, so that its address counts, too.
        if verified.caller.role == Role::Guest {
            auth.rates.request(address(parts, app))?;
        }
        Ok(Self {
            app: app.clone(),
            verified,
            past: wishes_past(&parts.headers),
        })
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
    /// Of a caller whose ticket was checked.
    pub(crate) fn of(app: Arc<App>, verified: Arc<Verified>, headers: &HeaderMap) -> Self {
        Self {
            app,
            verified,
            past: wishes_past(headers),
        }
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.verified.caller
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.caller().user
    }

    /// What tells whether what was read before is still the same; nothing for a request that wishes to pass it.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        (!self.past).then_some(&self.app.cache)
    }

    /// A share of what may be kept of rooms' texts, if as many bytes are left.
    pub(crate) fn share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        self.app.room_texts.clone().try_acquire_many_owned(kib).ok()
    }

    /// The ports as this request wishes them.
    pub fn ports(&self) -> &Repositories {
        if self.past {
            &self.app.cache.bypassing
        } else {
            &self.app.cache.repositories
        }
    }

    /// The room, if this caller may enter it.
    pub(crate) async fn room(&self, id: RoomId) -> Answer<Arc<Room>> {
        let room = self
            .ports()
            .rooms
            .find(id)
            .await?
            .ok_or_else(|| ApiError::missing("room"))?;
        if room.admits(self.user()) {
            Ok(room)
        } else {
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "this room is not yours",
            ))
        }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.caller().role == Role::Admin
    }

    /// Refuses whoever is not the administrator.
    pub(crate) fn admin(&self) -> Answer<()> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "only the administrator may do this",
            ))
        }
    }
}

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The token that a request carries.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
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

fn wishes_past(headers: &HeaderMap) -> bool {
    let wishes = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|wish| wish.to_str().ok());
    wishes
        .flat_map(|wish| wish.split(','))
        .any(|wish| wish.trim().eq_ignore_ascii_case("no-cache"))
}

/// Where a request came from; all whose address nobody knows count as one.
fn address(parts: &Parts, app: &App) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    app.auth.proxies.client(peer, &parts.headers)
}

/// Answers a read, and tells in `Cache-Status` where it came from.
pub(crate) fn tell_source(read: impl Future<Output = Answer>) -> impl Future<Output = Response> {
    observe(read).map(|(answer, seen)| {
        let mut response = answer.into_response();
        response.headers_mut().insert(&CACHE_STATUS, status(seen));
        response
    })
}

fn status(seen: Provenance) -> HeaderValue {
    HeaderValue::from_static(match seen {
        seen if seen.is_stale => "greenroom; hit; detail=stale",
        seen if seen.is_hit() => "greenroom; hit",
        _ => "greenroom; fwd=miss",
    })
}

/// The ids in a path, each a positive integer, as they stand there.
#[derive(Deserialize)]
pub(crate) struct Ids {
    #[serde(default, deserialize_with = "positive")]
    room: Option<i64>,
    #[serde(default)]
    agent: String,
}

/// A positive integer, or nothing.
fn positive<'de, D: Deserializer<'de>>(text: D) -> Result<Option<i64>, D::Error> {
    <&str>::deserialize(text).map(id)
}

fn id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id > 0)
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = Path::<Self>::from_request_parts(parts, state).await;
        ids.map(|Path(ids)| ids)
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "the path is not UTF-8"))
    }
}

impl Ids {
    pub(crate) fn room(&self) -> Answer<RoomId> {
        self.room.map(RoomId).ok_or_else(|| no_id("room"))
    }

    pub(crate) fn agent(&self) -> Answer<AgentId> {
        id(&self.agent).map(AgentId).ok_or_else(|| no_id("agent"))
    }

    /// The text in the place of an agent's id.
    pub(crate) fn agent_text(&self) -> &str {
        &self.agent
    }
}

fn no_id(name: &str) -> ApiError {
    ApiError::fields(format!("the {name}'s id is a positive integer"))
}

/// The query, read by name.
pub(crate) struct Params(pub(crate) Uri);

/// Taken out of the request, not shared with it: to be the last of what a handler takes.
impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request.into_parts().0.uri))
    }
}

impl Params {
    /// The texts of these names; of a name given twice the last counts.
    pub(crate) fn texts<const N: usize>(&self, names: [&'static str; N]) -> [Param<'_>; N] {
        let mut found = names.map(|name| Param { name, text: None });
        for pair in self.0.query().unwrap_or_default().split('&') {
            let (name, text) = named(pair);
            if let Some(param) = found.iter_mut().find(|param| param.name == name) {
                param.text = Some(text);
            }
        }
        found
    }
}

/// What a query says of a name.
pub(crate) struct Param<'a> {
    name: &'static str,
    pub(crate) text: Option<Cow<'a, str>>,
}

impl Param<'_> {
    /// A number of at least `least`; above `most` it counts as `most`.
    pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        least: T,
        most: T,
    ) -> Answer<Option<T>> {
        let Self {
            name,
            text: Some(text),
        } = self
        else {
            return Ok(None);
        };
        let refuse = || ApiError::fields(format!("{name} is a number of at least {least}"));
        // More digits than fit are a number all the same, and above the greatest.
        let is_huge =
            !text.is_empty() && text.len() > 18 && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = match text.parse::<T>() {
            Ok(number) => number,
            Err(_) if is_huge => return Ok(Some(most)),
            Err(_) => return Err(refuse()),
        };
        match number {
            number if number > most => Ok(Some(most)),
            number if number >= least => Ok(Some(number)),
            _ => Err(refuse()),
        }
    }
}

/// Name and text of a pair. Most are plain, and decoding shows.
fn named(pair: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    if pair.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return form_urlencoded::parse(pair.as_bytes())
            .next()
            .unwrap_or_default();
    }
    let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
    (Cow::Borrowed(name), Cow::Borrowed(text))
}

/// A JSON body: 400 if it is not JSON, 422 if a field is wrong or missing. Unknown fields are ignored.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let Time(patience) = app.limits.body_timeout;
        let late = |_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            )
        };
        let read = tokio::time::timeout(patience, Bytes::from_request(request, app))
            .await
            .map_err(late)?;
        let bytes = read.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            _ => ApiError::new(StatusCode::BAD_REQUEST, "the body cannot be read"),
        })?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "the body is not JSON"))?;
        if !value.is_object() {
            return Err(ApiError::fields("the body is a JSON object"));
        }
        serde_json::from_value(value)
            .map(Self)
            .map_err(|error| ApiError::fields(error.to_string()))
    }
}
