//! Endpoints of logins and tokens.

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Admin, Login},
    body::{Body, RequestBody},
    error::{ApiError, ApiResult},
    openapi::{AdminRefusals, BodyRefusals, Confirmation, OpenRefusals, Refusal, Refusals},
};
use crate::{
    auth::{Caller, Role},
    http_counts::LoginOutcome,
    state::{App, AppHandle},
};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(verify))
        .routes(routes!(renew))
        .routes(routes!(revoke))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = LoginRequest)]
struct LoginBody {
    #[schema(value_type = String)]
    #[serde(default)]
    password: Option<String>,
}

impl RequestBody for LoginBody {
    /// A password has at most 1 KiB. A login needs no token, so its body is the smallest.
    fn max_bytes(_: &App) -> usize {
        4 * 1_024
    }
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

impl RequestBody for RevocationBody {}

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
    Login(open): Login,
    Body(LoginBody { password }, _permit): Body<LoginBody>,
) -> ApiResult<Json<LoginObject>> {
    let password = password.filter(|password| !password.is_empty());
    let password = password
        .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "`password` must not be empty"))?;
    let permit = open.app.bounds.heavy_work.begin_password().await;
    let permit = permit.map_err(|_| ApiError::busy("too many logins at the same time"))?;
    let Some(caller) = open.app.auth.log_in(password, permit).await else {
        open.app.logins.count(LoginOutcome::Refused);
        tracing::warn!(target: "audit", address = %open.address, "login refused");
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Invalid password"));
    };
    open.app.logins.count(LoginOutcome::Ok);
    tracing::info!(target: "audit", address = %open.address, user = %caller.user, "logged in");
    Ok(Json(LoginObject::new(
        &open.app,
        &caller,
        "Logged in successfully",
    )))
}

/// Returns a new token for the same user, which is valid for another seven days. The old token
/// stays valid until it expires.
#[utoipa::path(
    post, path = "/auth/renew", tag = "auth",
    responses((status = 200, body = LoginObject), Refusals)
)]
async fn renew(access: Access) -> Json<LoginObject> {
    let message = "Token renewed successfully";
    Json(LoginObject::new(&access.app, access.caller(), message))
}

impl LoginObject {
    fn new(app: &App, caller: &Caller, message: &'static str) -> Self {
        Self {
            success: true,
            api_key: app.auth.issue(caller),
            role: caller.role,
            user_id: caller.user.to_string(),
            message,
        }
    }
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
async fn revoke(
    Admin(access): Admin,
    Body(body, _permit): Body<RevocationBody>,
) -> ApiResult<Json<Confirmation>> {
    let revoked = access.app.auth.revoke(body.role);
    revoked.map_err(ApiError::internal)?;
    // The caller's own token may be revoked now, so the middleware cannot name the caller.
    access.audit(
        "all tokens of a role revoked",
        format_args!("{:?}", body.role),
    );
    Ok(Confirmation::json("All tokens of this role were revoked"))
}
