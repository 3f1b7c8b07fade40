//! Logging in, and what a token is good for.

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, Open},
    openapi::{AdminRefusals, BodyRefusals, Message, OpenRefusals, Refusals, RoomRefusals},
};
use crate::auth::Role;

#[derive(Deserialize, ToSchema)]
#[schema(as = LoginRequest)]
pub(crate) struct Login {
    #[schema(value_type = String)]
    #[serde(default)]
    password: Option<String>,
}

/// Who logged in, and the token for `X-API-Key`.
#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoggedIn {
    success: bool,
    /// Good for seven days.
    api_key: String,
    role: Role,
    /// `admin`, or `guest-` and hexadecimal digits, new at each login.
    user_id: String,
    message: &'static str,
}

/// Whose token it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Verified)]
pub(crate) struct Known {
    success: bool,
    message: &'static str,
    role: Role,
    user_id: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Revocation)]
pub(crate) struct Revoke {
    role: Role,
}

/// Good for one room's event stream, for a minute.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    ticket: String,
}

#[utoipa::path(post, path = "/auth/login", tag = "auth", security(), request_body = Login,
    responses((status = 200, body = LoggedIn), (status = 401, body = super::openapi::Refusal, description = "Wrong password"), OpenRefusals, BodyRefusals))]
pub(crate) async fn login(
    open: Open,
    body: Result<Body<Login>, ApiError>,
) -> Answer<Json<LoggedIn>> {
    open.app.auth.rates.login(open.address)?;
    let Body(Login { password }) = body?;
    let missing = || ApiError::new(StatusCode::BAD_REQUEST, "give a password");
    let password = password
        .filter(|password| !password.is_empty())
        .ok_or_else(missing)?;
    let Some(caller) = open.app.auth.log_in(password).await else {
        tracing::warn!(address = %open.address, "a login was refused");
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the password is wrong",
        ));
    };
    tracing::info!(address = %open.address, user = %caller.user, "logged in");
    let api_key = open.app.auth.issue(&caller);
    Ok(Json(LoggedIn {
        success: true,
        api_key,
        role: caller.role,
        user_id: caller.user.to_string(),
        message: "logged in",
    }))
}

#[utoipa::path(get, path = "/auth/verify", tag = "auth", responses((status = 200, body = Known), Refusals))]
pub(crate) async fn verify(access: Access) -> Json<Known> {
    let caller = access.caller();
    Json(Known {
        success: true,
        message: "the token is good",
        role: caller.role,
        user_id: caller.user.to_string(),
    })
}

/// Refuses every token of a role that was issued before.
#[utoipa::path(post, path = "/auth/revoke", tag = "auth", request_body = Revoke,
    responses((status = 200, body = Message), Refusals, AdminRefusals, BodyRefusals))]
pub(crate) async fn revoke(access: Access, Body(body): Body<Revoke>) -> Answer<Json<Message>> {
    access.admin()?;
    access
        .app
        .auth
        .revoke(body.role)
        .map_err(ApiError::internal)?;
    tracing::warn!(role = ?body.role, "all tokens of a role were revoked");
    Ok(Json(Message {
        message: "all tokens of this role are revoked",
    }))
}

/// For browsers, which cannot set a header on an event stream.
#[utoipa::path(post, path = "/rooms/{room}/events/ticket", tag = "messages",
    params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = Ticket), Refusals, RoomRefusals))]
pub(crate) async fn ticket(access: Access, ids: Ids) -> Answer<Json<Ticket>> {
    let room = access.room(ids.room()?).await?.id;
    Ok(Json(Ticket {
        ticket: access.app.auth.tokens.ticket(access.caller(), room),
    }))
}
