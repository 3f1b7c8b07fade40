//! Endpoints of logins and tokens.

use std::sync::Arc;

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Open},
    body::Body,
    error::{ApiError, ApiResult},
    openapi::{AdminRefusals, BodyRefusals, Confirmation, OpenRefusals, Refusal, Refusals},
};
use crate::{auth::Role, state::App};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(verify))
        .routes(routes!(revoke))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = LoginRequest)]
struct LoginBody {
    #[schema(value_type = String)]
    #[serde(default)]
    password: Option<String>,
}

/// A token for `X-API-Key`, and the caller that it identifies.
#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
struct LoginObject {
    success: bool,
    /// Valid for seven days.
    api_key: String,
    role: Role,
    /// `admin`, or `guest-` and hexadecimal digits, new at each login.
    user_id: String,
    message: &'static str,
}

/// The caller that a token identifies.
#[derive(Serialize, ToSchema)]
#[schema(as = Verified)]
struct VerifiedObject {
    success: bool,
    message: &'static str,
    role: Role,
    user_id: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Revocation)]
struct RevocationBody {
    role: Role,
}

/// Logs in with a password. Without one the answer is 400.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", security(), request_body = LoginBody,
    responses(
        (status = 200, body = LoginObject),
        (status = 401, body = Refusal, description = "The password is wrong"),
        OpenRefusals, BodyRefusals
    )
)]
async fn login(
    open: Open,
    // A `Result`, so that an attempt counts against the login limit even if its body is invalid.
    body: Result<Body<LoginBody>, ApiError>,
) -> ApiResult<Json<LoginObject>> {
    open.app.auth.rates.login(open.address)?;
    let Body(LoginBody { password }) = body?;
    let password = password.filter(|password| !password.is_empty());
    let password = password
        .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "`password` must not be empty"))?;
    let Some(caller) = open.app.auth.log_in(password).await else {
        tracing::warn!(address = %open.address, "login refused");
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Invalid password"));
    };
    tracing::info!(address = %open.address, user = %caller.user, "logged in");
    Ok(Json(LoginObject {
        success: true,
        api_key: open.app.auth.issue(&caller),
        role: caller.role,
        user_id: caller.user.to_string(),
        message: "Logged in successfully",
    }))
}

/// Returns the caller that the token identifies.
#[utoipa::path(
    get, path = "/auth/verify", tag = "auth",
    responses((status = 200, body = VerifiedObject), Refusals)
)]
async fn verify(access: Access) -> Json<VerifiedObject> {
    let caller = access.caller();
    Json(VerifiedObject {
        success: true,
        message: "The token is valid",
        role: caller.role,
        user_id: caller.user.to_string(),
    })
}

/// Revokes all tokens of a role that were issued until now.
#[utoipa::path(
    post, path = "/auth/revoke", tag = "auth", request_body = RevocationBody,
    responses((status = 200, body = Confirmation), Refusals, AdminRefusals, BodyRefusals)
)]
async fn revoke(access: Access, Body(body): Body<RevocationBody>) -> ApiResult<Json<Confirmation>> {
    access.require_admin()?;
    let revoked = access.app.auth.revoke(body.role);
    revoked.map_err(ApiError::internal)?;
    tracing::warn!(role = ?body.role, "all tokens of a role revoked");
    Ok(Confirmation::json("All tokens of this role were revoked"))
}
