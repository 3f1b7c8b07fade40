//! Responses to paths without a route: the files of a front end, and refusals. They are counted by
//! address, as other requests without a token are.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use axum::{
    Router,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use tower::ServiceBuilder;
use tower_http::services::{ServeDir, ServeFile};

use super::{access::Open, error::ApiError};
use crate::state::AppHandle;

/// The Content-Security-Policy of a front end. It permits what a built front end may need, and
/// forbids what none needs: to be framed, to load plugins, and to change the base of its links.
const FRONTEND_POLICY: HeaderValue =
    HeaderValue::from_static("frame-ancestors 'none'; object-src 'none'; base-uri 'self'");

/// The longest name of a file, in bytes. A search for a longer one fails.
const MOST_NAME_BYTES: usize = 255;

/// Adds the responses to unknown paths and methods to the routes.
pub(super) fn with_fallbacks(
    routes: Router<AppHandle>,
    app: &AppHandle,
    frontend: Option<&PathBuf>,
) -> Router<AppHandle> {
    let routes = routes.method_not_allowed_fallback(unknown_method);
    match frontend {
        Some(folder) => routes.fallback_service(files(folder, app)),
        None => routes.fallback(unknown_path),
    }
}

/// Counts requests for routes that have no extractor that counts them.
pub(super) async fn count_open(
    State(app): State<AppHandle>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    Open::from_request_parts(&mut parts, &app).await?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Refuses an unknown path. Without the page, a person who opens the server's address learns where
/// the interface is described.
async fn unknown_path(_: Open, path: Uri) -> ApiError {
    if path.path() == "/" {
        let detail = "there is no page here; the interface is described at /docs";
        return ApiError::new(StatusCode::NOT_FOUND, detail);
    }
    no_such_path()
}

async fn unknown_method(_: Open) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not support this method",
    )
}

fn no_such_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "this path does not exist")
}

/// Returns a service for the files of a single-page front end. For a path without a file, a browser
/// that asks for a page gets `index.html`, whose script shows the page for the path.
fn files(folder: &Path, app: &AppHandle) -> Router {
    let index = ServeFile::new(folder.join("index.html"));
    let pages = Router::new()
        .fallback_service(index)
        .layer(from_fn(only_pages));
    let files = ServeDir::new(folder)
        .call_fallback_on_method_not_allowed(true)
        .fallback(pages);
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(app.clone(), count_open))
        .layer(from_fn_with_state(folder.to_owned(), only_inside))
        .layer(from_fn(with_headers));
    Router::new().fallback_service(files).layer(layers)
}

/// Refuses requests that do not ask for a page, such as a call of an API path that does not exist.
async fn only_pages(request: Request, next: Next) -> Response {
    let accepts_page = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| {
            accept
                .to_str()
                .is_ok_and(|accept| accept.contains("text/html"))
        });
    if accepts_page && [Method::GET, Method::HEAD].contains(request.method()) {
        next.run(request).await
    } else {
        no_such_path().into_response()
    }
}

/// Refuses hidden files, and links that lead out of the folder.
async fn only_inside(State(folder): State<PathBuf>, request: Request, next: Next) -> Response {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let path = PathBuf::from(path.trim_start_matches('/'));
    let mut names = path.components().map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    if names.any(|name| name.is_none_or(is_hidden)) || leads_outside(&folder, &path).await {
        return no_such_path().into_response();
    }
    next.run(request).await
}

/// Returns `true` for names such as `.env` and `.git`, and for names that no file has. The folder
/// `.well-known` is public by convention.
fn is_hidden(name: &OsStr) -> bool {
    let is_too_long = name.len() > MOST_NAME_BYTES;
    is_too_long || (name.to_string_lossy().starts_with('.') && name != ".well-known")
}

async fn leads_outside(folder: &Path, path: &Path) -> bool {
    let (Ok(root), Ok(file)) = (
        tokio::fs::canonicalize(folder).await,
        tokio::fs::canonicalize(folder.join(path)).await,
    ) else {
        // A file that does not exist leads nowhere.
        return false;
    };
    !file.starts_with(root)
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // Browsers may cache a file, but must check before each use that it is current.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, FRONTEND_POLICY);
    response
}
