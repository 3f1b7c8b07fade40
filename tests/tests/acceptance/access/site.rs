//! Parts of the server other than the API: allowed origins, request ids, metrics, documentation and
//! the front end.

use reqwest::{Method, header::HeaderMap};
use tests::server::TestServer;

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
    let ids = [client.get("/rooms/99").await, client.get("/rooms/98").await]
        .map(|response| response.header("x-request-id").to_owned());
    assert!(ids[0].len() == 16 && ids[0] != ids[1], "{ids:?}");
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
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"greenroom_cache_hits_total{region="room_list"} 1"#,
        r#"greenroom_answers_total{status="2xx"} "#,
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    server.end().await;
}

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
        let response = stranger.request(Method::GET, path).send().await.unwrap();
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
    server.end().await;
}
