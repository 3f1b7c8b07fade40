//! The OpenAPI document, which is derived from the handlers, and the page that shows it.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    routing::get,
};
use bytes::Bytes;
use serde::Serialize;
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

/// The parts of the document that belong to no handler: title, tags, credentials.
#[derive(OpenApi)]
#[openapi(
    info(title = "Greenroom", description = DESCRIPTION),
    modifiers(&Credentials),
    security(("token" = []), ("bearer" = [])),
    tags(
        (name = "auth"),
        (name = "rooms"),
        (name = "messages"),
        (name = "agents"),
        (name = "usage"),
        (name = "cache", description = "For the administrator")
    )
)]
pub(super) struct Frame;

const DESCRIPTION: &str = "\
A multi-agent role-play chat that reads from memory and never serves a stale read.

Errors are `{\"detail\": …}` with one sentence. The error of a field or a parameter also has \
`loc`, the way to it. `X-Request-Id` is in the server's log; of many refusals with one status \
within a second, only the first has it. `Cache-Control: no-cache` on a read of the administrator \
bypasses the cache; `Cache-Status` tells where an answer came from.";

/// A modifier that adds the two ways to send a token to the document.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "token",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
        );
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// One sentence that says what is wrong.
    detail: String,
    /// The way to the wrong field or parameter: `body`, `query` or `path`, then names and indexes.
    #[serde(skip_serializing_if = "Option::is_none")]
    loc: Option<Vec<serde_json::Value>>,
}

/// The body of an answer that confirms a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct Confirmation {
    message: &'static str,
}

impl Confirmation {
    pub(crate) fn json(message: &'static str) -> Json<Self> {
        Json(Self { message })
    }
}

/// Declares groups of refusals. A handler names the groups in `responses`, so that endpoints with
/// the same refusals share their declaration.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $(($status:literal, $reason:literal)),+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status, $reason)),+].into_iter().map(refusal).collect()
            }
        }
    )+};
}

#[rustfmt::skip] // One row a line.
refusals! {
    /// Refusals of paths that need no token.
    OpenRefusals:
        (429, "Too many requests; `Retry-After` says when to try again"),
        (500, "The server failed"),
        (503, "The store is unavailable");
    /// Refusals of every path that needs a token.
    Refusals:
        (401, "The token is missing or invalid"),
        (429, "Too many requests; `Retry-After` says when to try again"),
        (500, "The server failed"),
        (503, "The store is unavailable");
    /// Refusals of paths that only the administrator may use.
    AdminRefusals:
        (403, "Only the administrator may do this");
    /// Refusals of paths that address a room.
    RoomRefusals:
        (400, "The path is not UTF-8, or the query is malformed"),
        (403, "The room belongs to another user"),
        (404, "The room does not exist"),
        (422, "An id or a parameter is invalid");
    /// Refusals of paths that address an agent.
    AgentRefusals:
        (400, "The path is not UTF-8"),
        (404, "The agent does not exist"),
        (422, "The id is invalid");
    /// Refusals of lists that are read in parts.
    ListRefusals:
        (422, "A parameter is invalid");
    /// Refusals of requests with a body.
    BodyRefusals:
        (400, "The body is not JSON"),
        (408, "The body did not arrive in time"),
        (413, "The body, or an image in it, is too large"),
        (422, "A field is invalid or missing");
    /// Refusals of requests that set a unique name.
    TakenRefusals:
        (409, "The name is taken");
}

fn refusal((status, reason): (u16, &str)) -> (String, RefOr<Response>) {
    let content = Content::new(Some(Ref::from_schema_name("Refusal")));
    let response = ResponseBuilder::new()
        .description(reason)
        .content("application/json", content)
        .build();
    (status.to_string(), response.into())
}

/// Returns the routes `/openapi.json` and `/docs`. The page `/docs` loads nothing from other
/// servers.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(document: &Document) -> Router<S> {
    // Serialized once and shared, because axum clones a handler for each connection.
    let text = Bytes::from(serde_json::to_vec(document).expect("the document is JSON"));
    let json = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    Router::new()
        .route("/openapi.json", get(async move || (json, text)))
        .merge(
            Router::from(
                SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")),
            )
            .layer(from_fn(with_policy)),
        )
}

/// Adds the Content-Security-Policy of the page `/docs`, which has inline styles and images.
async fn with_policy(request: Request, next: Next) -> axum::response::Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  frame-ancestors 'none'; object-src 'none'; base-uri 'none'";
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    response
}
