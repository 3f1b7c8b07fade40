//! Parts of the server other than the API: allowed origins, request ids, metrics, documentation and
//! the front end.

use app::Settings;
use reqwest::{Method, header::HeaderMap};
use serde_json::json;
use tests::{server::TestServer, wait::soon};

#[tokio::test]
async fn an_allowed_origin_gets_its_header_on_errors_too_and_others_never() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let send = async |method: Method, path: &str, origin: &str| {
        let request = client.request(method, path).header("origin", origin);
        let requested = "content-type,x-api-key,authorization,ngrok-skip-browser-warning";
        let request = request
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", requested);
        request.send().await.unwrap()
    };
    let allowed = |headers: &HeaderMap| {
        headers
            .get("access-control-allow-origin")
            .map(|origin| origin.to_str().unwrap().to_owned())
    };
    let own = "http://localhost:5173";
    let preflight = send(Method::OPTIONS, "/rooms/1", own).await;
    assert_eq!(
        (preflight.status().as_u16(), allowed(preflight.headers())),
        (200, Some(own.into()))
    );
    let headers = preflight.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_lowercase();
    for header in [
        "content-type",
        "x-api-key",
        "authorization",
        "ngrok-skip-browser-warning",
    ] {
        assert!(headers.contains(header), "{header} is missing in {headers}");
    }
    for path in ["/rooms", "/rooms/99", "/nowhere"] {
        assert_eq!(
            allowed(send(Method::GET, path, own).await.headers()),
            Some(own.into()),
            "{path}"
        );
        assert_eq!(
            allowed(
                send(Method::GET, path, "http://evil.example")
                    .await
                    .headers()
            ),
            None,
            "{path}"
        );
    }
    server.end().await;
}

#[tokio::test]
async fn a_refusal_carries_the_request_id_of_its_log_line() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let refused = client.get("/rooms/99").await;
    assert_eq!(refused.header("x-request-id").len(), 16);
    let conflict = client.get("/rooms/x").await;
    assert_ne!(
        conflict.header("x-request-id"),
        refused.header("x-request-id")
    );
    // Of many refusals within a second, only the first is logged.
    let ids = async {
        loop {
            if client
                .get("/rooms/98")
                .await
                .header("x-request-id")
                .is_empty()
            {
                return;
            }
        }
    };
    soon("a refusal without a log line", ids).await;
    assert_eq!(client.get("/rooms").await.header("x-request-id"), "");
    server.end().await;
}

#[tokio::test]
async fn metrics_are_text_with_the_counters_of_each_region() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    client.get("/rooms").await.ok();
    client.get("/rooms").await.ok();
    let response = client.get("/metrics").await;
    let text = response.text();
    assert!(
        response
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let rooms = "http_request_method=\"GET\",http_route=\"/rooms\",\
                 http_response_status_code=\"200\"";
    for line in [
        r#"greenroom_cache_hits_total{region="room_list"} 1"#,
        r#"greenroom_answers_total{status="2xx"} "#,
        r#"greenroom_responses_total{code="200"} 2"#,
        &format!("http_server_request_duration_seconds_count{{{rooms}}} 2"),
        "greenroom_connections 1",
        "greenroom_event_streams 0",
        "greenroom_running_conversations 0",
        "process_open_fds ",
        "greenroom_build_info{version=",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let request = client.request(Method::GET, "/metrics");
    let request = request.header(
        "accept",
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    );
    let response = client.send("/metrics", request).await;
    let content_type = response.header("content-type");
    assert!(content_type.starts_with("application/openmetrics-text"));
    assert!(response.text().ends_with("# EOF\n"));
    server.end().await;
}

#[tokio::test]
async fn a_monitoring_system_reads_the_metrics_with_its_own_token() {
    let token = "a token of the monitoring system";
    let change = |settings: &mut Settings| settings.auth.metrics_token = Some(token.into());
    let server = TestServer::start(change).await;
    let stranger = server.stranger();
    let scrape = async |token: &str| {
        let request = stranger.request(Method::GET, "/metrics").bearer_auth(token);
        stranger.send("/metrics", request).await.status.as_u16()
    };
    assert_eq!(scrape(token).await, 200);
    assert_eq!(scrape("another token").await, 401);
    assert_eq!(scrape(server.guest().token()).await, 403);
    let rooms = stranger.request(Method::GET, "/rooms").bearer_auth(token);
    stranger.send("/rooms", rooms).await.refused(401);
    server.end().await;
}

#[tokio::test]
async fn every_response_has_headers_that_protect_browsers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>front</title>").unwrap();
    let frontend = folder.path().to_owned();
    let server = TestServer::start(|settings| settings.frontend = Some(frontend)).await;
    let client = server.client();
    client
        .create_agent_with("Ada", json!({ "profile_pic": PIXEL }))
        .await;
    for path in [
        "/",
        "/rooms",
        "/rooms/99",
        "/nowhere",
        "/docs/",
        "/openapi.json",
        "/health",
        "/agents/Ada/profile-pic",
    ] {
        let request = client
            .request(Method::GET, path)
            .header("accept", "text/html");
        let response = client.send(path, request).await;
        assert_eq!(
            response.header("x-content-type-options"),
            "nosniff",
            "{path}"
        );
        assert_eq!(response.header("referrer-policy"), "no-referrer", "{path}");
        let policy = response.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
    server.end().await;
}

/// A PNG of one pixel.
const PIXEL: &str = "data:image/png;base64,\
                     iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6\
                     kgAAAABJRU5ErkJggg==";

#[tokio::test]
async fn the_documentation_loads_nothing_from_other_hosts() {
    let server = TestServer::start(|_| {}).await;
    let stranger = server.stranger();
    let page = stranger
        .request(Method::GET, "/docs/")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    let sources: Vec<_> = html
        .split("src=\"")
        .skip(1)
        .chain(html.split("href=\"").skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        sources.len() > 2 && sources.iter().all(|source| !source.contains("//")),
        "{sources:?}"
    );
    for source in sources {
        let path = format!("/docs/{}", source.trim_start_matches("./"));
        assert_eq!(
            stranger
                .request(Method::GET, &path)
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{path}"
        );
    }
    assert_eq!(
        stranger.get("/openapi.json").await.ok()["info"]["title"],
        "Greenroom"
    );
    server.end().await;
}

#[tokio::test]
async fn a_built_front_end_is_served_from_the_same_origin() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>front</title>").unwrap();
    std::fs::write(folder.path().join("app.js"), "1").unwrap();
    std::fs::write(
        folder
            .path()
            .parent()
            .unwrap()
            .join("greenroom-outside.txt"),
        "outside",
    )
    .unwrap();
    let frontend = folder.path().to_owned();
    let server = TestServer::start(|settings| settings.frontend = Some(frontend)).await;
    let stranger = server.stranger();
    for (path, text) in [
        ("/", "<title>front</title>"),
        ("/app.js", "1"),
        ("/rooms/of/mine", "<title>front</title>"),
    ] {
        let request = stranger.request(Method::GET, path);
        let response = request.header("accept", "text/html").send().await.unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["cache-control"].to_str().unwrap()
            ),
            (200, "no-cache"),
            "{path}"
        );
        assert_eq!(response.text().await.unwrap(), text, "{path}");
    }
    for path in [
        "/..%2fgreenroom-outside.txt",
        "/%2e%2e/greenroom-outside.txt",
        "/a/..%2f..%2fgreenroom-outside.txt",
    ] {
        let response = stranger.request(Method::GET, path).send().await.unwrap();
        assert!(
            !response.text().await.unwrap().contains("outside"),
            "{path}"
        );
    }
    stranger.get("/rooms").await.refused(401);
    // A path that a script requests, and not a person, is not a page.
    stranger.get("/roomz").await.refused(404);
    stranger.post("/roomz", json!({})).await.refused(404);
    server.end().await;
}

#[tokio::test]
async fn hidden_files_and_links_out_of_the_front_end_are_not_served() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("index.html"), "<title>front</title>").unwrap();
    std::fs::write(path(".env"), "secret").unwrap();
    std::fs::create_dir(path(".git")).unwrap();
    std::fs::write(path(".git/config"), "secret").unwrap();
    std::fs::create_dir(path(".well-known")).unwrap();
    std::fs::write(path(".well-known/security.txt"), "contact").unwrap();
    std::os::unix::fs::symlink(outside.path(), path("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), path("link.txt")).unwrap();
    std::os::unix::fs::symlink(path("index.html"), path("alias.html")).unwrap();
    let frontend = folder.path().to_owned();
    let server = TestServer::start(|settings| settings.frontend = Some(frontend)).await;
    let stranger = server.stranger();
    for path in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/out/secret.txt",
        "/link.txt",
    ] {
        stranger.get(path).await.refused(404);
    }
    for path in ["/.well-known/security.txt", "/alias.html"] {
        assert_eq!(stranger.get(path).await.status, 200, "{path}");
    }
    server.end().await;
}
