//! The OpenAPI document, made from the handlers; and the page that shows it.

use axum::{
    Router,
    http::{HeaderValue, header},
    routing::get,
};
use bytes::Bytes;
use serde::Serialize;
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        OpenApi as Document,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

/// What it is about, and how callers say who they are.
#[derive(OpenApi)]
#[openapi(
    info(title = "Greenroom", description = "A multi-agent role-play chat that reads from memory and never serves a stale read.\n\nErrors are `{\"detail\": …}` with one sentence; each carries `X-Request-Id`, which is in the server's log. `Cache-Control: no-cache` on a read passes the cache; `Cache-Status` tells where an answer came from."),
    modifiers(&Credentials),
    security(("token" = []), ("bearer" = [])),
    tags((name = "auth"), (name = "rooms"), (name = "messages"), (name = "agents"), (name = "cache", description = "For the administrator"))
)]
pub(super) struct Frame;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// One clear sentence.
    detail: String,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Done)]
pub(crate) struct Message {
    pub(crate) message: &'static str,
}

/// Of every address.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum OpenRefusals {
    /// Too many requests; `Retry-After` tells when to come back
    #[response(status = 429)]
    TooMany(#[to_schema] Refusal),
    /// Something went wrong in the server
    #[response(status = 500)]
    Internal(#[to_schema] Refusal),
    /// The store does not answer
    #[response(status = 503)]
    Unavailable(#[to_schema] Refusal),
}

/// Of every address that asks who calls.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum Refusals {
    /// No token, or none that is good
    #[response(status = 401)]
    Nobody(#[to_schema] Refusal),
    /// Too many requests; `Retry-After` tells when to come back
    #[response(status = 429)]
    TooMany(#[to_schema] Refusal),
    /// Something went wrong in the server
    #[response(status = 500)]
    Internal(#[to_schema] Refusal),
    /// The store does not answer
    #[response(status = 503)]
    Unavailable(#[to_schema] Refusal),
}

/// Of what is the administrator's.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum AdminRefusals {
    /// Only the administrator may do this
    #[response(status = 403)]
    Forbidden(#[to_schema] Refusal),
}

/// Of what is in a room.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum RoomRefusals {
    /// A path that is not UTF-8, or a query that cannot be read
    #[response(status = 400)]
    Malformed(#[to_schema] Refusal),
    /// Not yours
    #[response(status = 403)]
    Forbidden(#[to_schema] Refusal),
    /// Not there
    #[response(status = 404)]
    Missing(#[to_schema] Refusal),
    /// An id or a parameter is wrong
    #[response(status = 422)]
    Field(#[to_schema] Refusal),
}

/// Of what is about one agent.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum AgentRefusals {
    /// A path that is not UTF-8
    #[response(status = 400)]
    Malformed(#[to_schema] Refusal),
    /// Not there
    #[response(status = 404)]
    Missing(#[to_schema] Refusal),
    /// An id is wrong
    #[response(status = 422)]
    Field(#[to_schema] Refusal),
}

/// Of what takes a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum BodyRefusals {
    /// The body is not JSON
    #[response(status = 400)]
    Malformed(#[to_schema] Refusal),
    /// The body did not arrive in time
    #[response(status = 408)]
    Late(#[to_schema] Refusal),
    /// The body, or an image in it, is too large
    #[response(status = 413)]
    TooLarge(#[to_schema] Refusal),
    /// A field is wrong or missing
    #[response(status = 422)]
    Field(#[to_schema] Refusal),
}

/// Of names that are unique.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is read by the derive alone")]
pub(crate) enum TakenRefusals {
    /// Taken
    #[response(status = 409)]
    Taken(#[to_schema] Refusal),
}

/// `/openapi.json`, and `/docs`, which needs nothing from outside.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(document: &Document) -> Router<S> {
    // As text that is shared: whatever serves a connection may clone what it captures.
    let text = Bytes::from(serde_json::to_vec(document).expect("the document is JSON"));
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Router::new()
        .route("/openapi.json", get(async move || (json, text)))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
}
