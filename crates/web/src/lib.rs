//! The page that people see in a browser: plain HTML, CSS and ES modules, embedded in the program.
//!
//! [`router`] serves the files of the folder `page`. The page speaks the HTTP interface of the
//! server as other front ends do; its addresses are relative, so it also works behind a proxy that
//! adds a path.
//!
//! ```
//! let routes: axum::Router = axum::Router::new().merge(web::router());
//! ```
//!
//! The [glossary] explains the project's words, such as room and region.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod file;
mod headers;
mod table;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use table::FILES;

/// Returns the routes of the page: `/ui/` is the page itself, its files are beside it, and `/ui`
/// leads to it.
///
/// `Accept-Encoding`, `If-None-Match` and `HEAD` are supported. The router has no fallback: a path
/// without a file is left to the router that it is merged into.
///
/// ```
/// let page: axum::Router = web::router();
/// ```
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let routes = Router::new().route("/ui", get(async || redirect("ui/")));
    FILES.iter().fold(routes, |routes, file| {
        let respond = get(async |headers: HeaderMap| file.respond(&headers));
        let name = if file.path == "index.html" {
            ""
        } else {
            file.path
        };
        routes.route(&format!("/ui/{name}"), respond)
    })
}

/// Responds with a redirection to a path that is relative to the path of the request.
///
/// ```
/// let response = web::redirect("ui/");
/// assert_eq!(response.status(), 307);
/// assert_eq!(response.headers()["location"], "ui/");
/// ```
pub fn redirect(path: &'static str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, path)]).into_response()
}
