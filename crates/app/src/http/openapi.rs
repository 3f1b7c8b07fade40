//! The OpenAPI document, made from the handlers; and the page that shows it.

use std::collections::BTreeMap;

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
        Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder,
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
        components.add_security_scheme(
            "token",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
        );
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

/// Which refusals an address may answer with, a row each.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $(($status:literal, $why:literal)),+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status, $why)),+].into_iter().map(refusal).collect()
            }
        }
    )+};
}

#[rustfmt::skip] // One row a line.
refusals! {
    /// Of every address.
    OpenRefusals:
        (429, "Too many requests; `Retry-After` tells when to come back"),
        (500, "Something went wrong in the server"),
        (503, "The store does not answer");
    /// Of every address that asks who calls.
    Refusals:
        (401, "No token, or none that is good"),
        (429, "Too many requests; `Retry-After` tells when to come back"),
        (500, "Something went wrong in the server"),
        (503, "The store does not answer");
    /// Of what is the administrator's.
    AdminRefusals:
        (403, "Only the administrator may do this");
    /// Of what is in a room.
    RoomRefusals:
        (400, "A path that is not UTF-8, or a query that cannot be read"),
        (403, "Not yours"),
        (404, "Not there"),
        (422, "An id or a parameter is wrong");
    /// Of what is about one agent.
    AgentRefusals:
        (400, "A path that is not UTF-8"),
        (404, "Not there"),
        (422, "An id is wrong");
    /// Of what takes a body.
    BodyRefusals:
        (400, "The body is not JSON"),
        (408, "The body did not arrive in time"),
        (413, "The body, or an image in it, is too large"),
        (422, "A field is wrong or missing");
    /// Of names that are unique.
    TakenRefusals:
        (409, "Taken");
}

fn refusal((status, why): (u16, &str)) -> (String, RefOr<Response>) {
    let content = Content::new(Some(Ref::from_schema_name("Refusal")));
    let response = ResponseBuilder::new()
        .description(why)
        .content("application/json", content)
        .build();
    (status.to_string(), response.into())
}

/// `/openapi.json`, and `/docs`, which needs nothing from outside.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(document: &Document) -> Router<S> {
    // As text that is shared: whatever serves a connection may clone what it captures.
    let text = Bytes::from(serde_json::to_vec(document).expect("the document is JSON"));
    let json = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    Router::new()
        .route("/openapi.json", get(async move || (json, text)))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
}
