use std::{collections::BTreeSet, fs, io::Read as _, path::Path};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

/// The most bytes of all files together.
const MOST_BYTES: usize = 260 * 1024;
/// The files that the first screen, the login, loads.
const FIRST_LOAD: [&str; 13] = [
    "index.html",
    "app.css",
    "app.js",
    "icon.svg",
    "manifest.webmanifest",
    "lib/api.js",
    "lib/dom.js",
    "lib/rooms.js",
    "lib/screen.js",
    "lib/session.js",
    "lib/words.js",
    "screens/login.js",
    "words/en.json",
];

async fn send(method: Method, path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let routes: Router = router();
    let request = request.body(Body::empty()).unwrap();
    routes.oneshot(request).await.unwrap()
}

async fn body(response: Response) -> Vec<u8> {
    let collected = response.into_body().collect().await.unwrap();
    collected.to_bytes().to_vec()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("page")
}

fn paths_in(folder: &Path, top: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths_in(&path, top, found);
        } else {
            let path = path.strip_prefix(top).unwrap();
            found.insert(path.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_of_the_folder_is_in_the_table() {
    let mut found = BTreeSet::new();
    paths_in(&folder(), &folder(), &mut found);
    let listed: BTreeSet<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(listed, found);
}

#[tokio::test]
async fn a_file_is_served_plain_or_compressed_and_not_again_to_a_browser_that_has_it() {
    let plain = send(Method::GET, "/ui/app.js", &[]).await;
    assert_eq!(plain.status(), StatusCode::OK);
    assert_eq!(
        plain.headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert_eq!(plain.headers()["cache-control"], "no-cache");
    let plain_tag = plain.headers()["etag"].clone();
    let text = body(plain).await;
    assert_eq!(text, fs::read(folder().join("app.js")).unwrap());

    let accept = (header::ACCEPT_ENCODING, "br;q=1.0, gzip;q=0.8");
    let accepts = std::slice::from_ref(&accept);
    let small = send(Method::GET, "/ui/app.js", accepts).await;
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert_eq!(small.headers()["vary"], "accept-encoding");
    let tag = small.headers()["etag"].clone();
    assert_ne!(tag, plain_tag);
    let mut unpacked = Vec::new();
    let packed = body(small).await;
    GzDecoder::new(&packed[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(packed.len() < text.len() && unpacked == text);

    let weak = format!("\"other\", W/{}", tag.to_str().unwrap());
    let known = (header::IF_NONE_MATCH, weak.as_str());
    let again = send(Method::GET, "/ui/app.js", &[accept, known.clone()]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.headers()["etag"], tag);
    assert!(again.headers().get("content-encoding").is_none());
    assert!(body(again).await.is_empty());
    // The browser has the compressed form, and asks for the plain one.
    let other = send(Method::GET, "/ui/app.js", &[known]).await;
    assert_eq!(other.status(), StatusCode::OK);

    let refused = (header::ACCEPT_ENCODING, "gzip;q=0, br");
    let plain = send(Method::GET, "/ui/app.js", &[refused]).await;
    assert!(plain.headers().get("content-encoding").is_none());
    let head = send(Method::HEAD, "/ui/app.js", &[]).await;
    assert_eq!(
        head.headers()["content-length"],
        text.len().to_string().as_str()
    );
    assert!(body(head).await.is_empty());
}

#[tokio::test]
async fn the_page_has_its_policy_and_its_address_is_found_from_others() {
    let page = send(Method::GET, "/ui/", &[]).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("trusted-types 'none'"));
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let leading = send(Method::GET, "/ui", &[]).await;
    assert_eq!(leading.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(leading.headers()["location"], "ui/");
    for path in [
        "/ui/nothing",
        "/ui/../app.js",
        "/ui/lib/../app.js",
        "/ui/index.html",
    ] {
        assert_eq!(
            send(Method::GET, path, &[]).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

/// Returns the keys of a file of texts. Each is at the beginning of its line.
fn keys(language: &str) -> Vec<String> {
    let path = folder().join(format!("words/{language}.json"));
    let text = fs::read_to_string(path).unwrap();
    let keys = text.lines().filter(|line| line.starts_with("  \""));
    let keys = keys.filter(|line| !line.starts_with("   "));
    keys.map(|line| line.split('"').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn every_language_has_a_text_for_every_key_and_every_key_of_the_code_has_a_text() {
    let english = keys("en");
    assert_eq!(keys("ar"), english);
    let mut unknown = BTreeSet::new();
    let modules = FILES
        .iter()
        .filter(|file| file.media_type() == "text/javascript; charset=utf-8");
    for file in modules {
        let code = std::str::from_utf8(file.bytes).unwrap();
        for call in code.split("t('").skip(1) {
            let key = call.split('\'').next().unwrap();
            let is_key = key.contains('.') && !key.contains(['/', ' ', '#']);
            if is_key && !english.iter().any(|known| known == key) {
                unknown.insert((file.path, key.to_owned()));
            }
        }
    }
    let screens = FILES
        .iter()
        .filter_map(|file| file.path.strip_prefix("screens/"));
    for screen in screens.map(|screen| screen.trim_end_matches(".js")) {
        let title = format!("title.{screen}");
        assert!(english.contains(&title), "{title} has no text");
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn no_file_is_generated_and_all_together_are_small() {
    let mut gzipped = 0;
    let mut all = 0;
    for file in &FILES {
        all += file.bytes.len();
        let text = std::str::from_utf8(file.bytes).unwrap();
        assert!(!file.path.contains(".min."), "{}", file.path);
        let longest = text.lines().map(str::len).max().unwrap_or(0);
        assert!(
            longest <= 400,
            "{} has a line of {longest} bytes",
            file.path
        );
        assert!(text.lines().count() <= 500, "{} is long", file.path);
        if FIRST_LOAD.contains(&file.path) {
            gzipped += file.gzip_len();
        }
    }
    println!("{all} bytes in all; the first load has {gzipped} bytes compressed");
    assert!(all <= MOST_BYTES, "{all} bytes");
    assert!(gzipped <= 60 * 1024, "{gzipped} bytes");
}
