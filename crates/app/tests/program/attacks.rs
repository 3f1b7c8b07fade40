//! Requests that are meant to exhaust the server. They run for a few seconds, and for an hour if
//! the variable `GREENROOM_PROOF` is set.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::server::Greenroom;

/// The most memory that the attacks may add to that of the idle server, in bytes.
///
/// An idle server takes about 35 MiB in a release build, and 95 MiB in a debug build.
const MOST_GROWTH: u64 = 110 << 20;
/// The most memory that the server may have in a release build.
const MOST: u64 = 150 << 20;

/// Returns the time for which the attacks run.
fn attack_time() -> Duration {
    if std::env::var_os("GREENROOM_PROOF").is_some() {
        Duration::from_hours(1)
    } else {
        Duration::from_secs(8)
    }
}

/// Returns the resident memory of a process, or the largest that it has had, in bytes.
fn memory(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field));
    let line = line.unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1_024
}

/// Sends a request, and reads at most the first bytes of the response. Errors are ignored: the
/// server may refuse the connection.
fn attack(address: &str, head: &str, body: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "{head}\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut response = [0; 12];
    stream.read_exact(&mut response).ok()?;
    Some(stream)
}

/// Returns a body of ten megabytes that a parser of general values would turn into a gigabyte.
fn many_objects() -> Vec<u8> {
    format!(r#"{{"a":[{}]}}"#, vec![r#"{"":0}"#; 1_400_000].join(",")).into_bytes()
}

/// Returns the body of a message whose JSON is as long as possible: each of its characters takes
/// six bytes there.
fn longest_message() -> String {
    let content = r"\u0001".repeat(32_768);
    format!(r#"{{"content":"{content}","role":"user"}}"#)
}

/// Returns the body of a message with a PNG of 12 million pixels, which has few bytes.
fn large_picture() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgba8(4_000, 3_000)
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    message_with(&png.into_inner(), "image/png")
}

/// Returns the body of a message with a picture that stays large when it is stored.
fn noisy_picture() -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).to_le_bytes();
        image::Rgb([mixed[1], mixed[2], mixed[3]])
    };
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image::RgbImage::from_fn(1_000, 1_000, pixel))
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    message_with(&jpeg.into_inner(), "image/jpeg")
}

fn message_with(picture: &[u8], media_type: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let data = STANDARD.encode(picture);
    format!(
        r#"{{"content":"x","role":"user","image_data":"{data}","image_media_type":"{media_type}"}}"#
    )
    .into_bytes()
}

/// Starts a server without limits on rates, so that neither the attacks nor the administrator are
/// slowed down. The attacks come from several addresses.
fn start(folder: &Path) -> Greenroom {
    let guest_hash = app::hash_password("cake").unwrap();
    Greenroom::start_with(folder, |program| {
        program
            .args(["--responder", "none"])
            .env("GREENROOM_GUEST_PASSWORD_HASH", &guest_hash)
            .env("GREENROOM_REQUESTS_PER_SECOND", "100000")
            .env("GREENROOM_REQUEST_BURST", "100000")
            .env("GREENROOM_LOGINS_PER_MINUTE", "100000")
            .env("GREENROOM_TRUSTED_PROXIES", "127.0.0.0/8");
    })
}

#[test]
fn no_attack_takes_much_memory_and_the_administrator_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let admin = server.log_in();
    let response = server.request("POST", "/auth/login", "", r#"{"password":"cake"}"#);
    let (_, token) = response.split_once(r#""api_key":""#).unwrap();
    let token = token.split('"').next().unwrap();
    server.request("POST", "/rooms", token, r#"{"name":"tea"}"#);
    let address = server.address.trim_start_matches("http://");
    let requests = AtomicUsize::new(0);
    let head = |method: &str, path: &str| {
        let host = requests.fetch_add(1, Ordering::Relaxed) % 8;
        format!("{method} {path} HTTP/1.1\r\nx-api-key: {token}\r\nx-forwarded-for: 10.0.0.{host}")
    };
    server.request("POST", "/rooms", token, r#"{"name":"long"}"#);
    for _ in 0..60 {
        server.request("POST", "/rooms/2/messages/send", token, &longest_message());
    }
    let (objects, large, noisy) = (many_objects(), large_picture(), noisy_picture());
    let idle = memory(server.id(), "VmRSS");
    let until = Instant::now() + attack_time();
    thread::scope(|scope| {
        let repeat = |request: Box<dyn Fn() -> Option<TcpStream> + Send>, kept: usize| {
            scope.spawn(move || {
                let mut open = Vec::new();
                while Instant::now() < until {
                    open.extend(request());
                    if open.len() > kept {
                        open.clear();
                    }
                }
            });
        };
        // Bodies that are expensive to parse, with and without a token.
        repeat(
            Box::new(|| attack(address, &head("POST", "/auth/login"), &objects)),
            0,
        );
        for _ in 0..3 {
            let send = || attack(address, &head("POST", "/rooms/1/messages/send"), &objects);
            repeat(Box::new(send), 0);
        }
        // Passwords, of which each costs 19 MiB while it is hashed.
        for _ in 0..8 {
            let wrong = br#"{"password":"wrong"}"#;
            repeat(
                Box::new(|| attack(address, &head("POST", "/auth/login"), wrong)),
                0,
            );
        }
        // Pictures, and readers that do not read them.
        for picture in [&large, &noisy] {
            repeat(
                Box::new(|| attack(address, &head("POST", "/rooms/1/messages/send"), picture)),
                0,
            );
        }
        repeat(
            Box::new(|| attack(address, &head("GET", "/rooms/1"), b"")),
            40,
        );
        // Readers of long answers that do not read them.
        for path in [
            "/rooms/2",
            "/rooms/2/messages",
            "/rooms/2/messages?limit=1000",
            "/rooms/2/messages/poll?since_id=0&limit=1000",
            "/rooms/2/events?since_id=0",
        ] {
            repeat(
                Box::new(move || attack(address, &head("GET", path), b"")),
                60,
            );
        }
        // Event streams, and connections that send nothing.
        repeat(
            Box::new(|| attack(address, &head("GET", "/rooms/1/events"), b"")),
            90,
        );
        repeat(Box::new(|| TcpStream::connect(address).ok()), 300);
        while Instant::now() < until {
            let rooms = server.request("GET", "/rooms", &admin, "");
            assert!(rooms.starts_with("HTTP/1.1 200"), "{rooms}");
            let health = server.request("GET", "/health", "", "");
            assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        }
    });
    let peak = memory(server.id(), "VmHWM");
    eprintln!("{} MiB when idle, {} MiB at most", idle >> 20, peak >> 20);
    let grown = peak.saturating_sub(idle);
    assert!(
        cfg!(debug_assertions) || peak < MOST,
        "the server took {} MiB",
        peak >> 20
    );
    assert!(
        grown < MOST_GROWTH,
        "the server grew by {} MiB",
        grown >> 20
    );
    assert!(server.terminate());
}
