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
/// An idle server takes about 27 MiB in a release build, and 60 MiB in a debug build.
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

/// A request that is repeated, and the number of its connections that are kept open without reading
/// the response.
struct Attack<'a> {
    request: Box<dyn Fn() -> Option<TcpStream> + Send + 'a>,
    kept: usize,
}

impl<'a> Attack<'a> {
    fn new(kept: usize, request: impl Fn() -> Option<TcpStream> + Send + 'a) -> Self {
        Self {
            request: Box::new(request),
            kept,
        }
    }

    fn repeat(&self, until: Instant) {
        let mut open = Vec::new();
        while Instant::now() < until {
            open.extend((self.request)());
            if open.len() > self.kept {
                open.clear();
            }
        }
    }
}

/// A server with a guest, whose token all attacks use.
struct Target {
    server: Greenroom,
    admin: String,
    token: String,
    requests: AtomicUsize,
}

impl Target {
    fn new(folder: &Path) -> Self {
        let server = start(folder);
        let admin = server.log_in();
        let response = server.request("POST", "/auth/login", "", r#"{"password":"cake"}"#);
        let (_, token) = response.split_once(r#""api_key":""#).unwrap();
        let token = token.split('"').next().unwrap().to_owned();
        server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
        Self {
            server,
            admin,
            token,
            requests: AtomicUsize::new(0),
        }
    }

    fn address(&self) -> &str {
        self.server.address.trim_start_matches("http://")
    }

    /// Sends a request from one of eight addresses.
    fn attack(&self, method: &str, path: &str, body: &[u8]) -> Option<TcpStream> {
        let host = self.requests.fetch_add(1, Ordering::Relaxed) % 8;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nx-api-key: {}\r\nx-forwarded-for: 10.0.0.{host}",
            self.token
        );
        attack(self.address(), &head, body)
    }

    /// Runs all attacks at the same time. Asserts that the administrator is served, and that the
    /// server takes little memory.
    fn withstands(&self, attacks: Vec<Attack<'_>>) {
        let Self { server, admin, .. } = self;
        let idle = memory(server.id(), "VmRSS");
        let until = Instant::now() + attack_time();
        thread::scope(|scope| {
            for attack in attacks {
                scope.spawn(move || attack.repeat(until));
            }
            while Instant::now() < until {
                let rooms = server.request("GET", "/rooms", admin, "");
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
    }
}

#[test]
fn no_attack_takes_much_memory_and_the_administrator_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::new(folder.path());
    let (objects, large, noisy) = (many_objects(), large_picture(), noisy_picture());
    let send = "/rooms/1/messages/send";
    let hits = &target;
    let mut attacks = vec![
        // Bodies that are expensive to parse, with and without a token.
        Attack::new(0, || hits.attack("POST", "/auth/login", &objects)),
        // Pictures, and readers that do not read them.
        Attack::new(0, || hits.attack("POST", send, &large)),
        Attack::new(0, || hits.attack("POST", send, &noisy)),
        Attack::new(40, || hits.attack("GET", "/rooms/1", b"")),
        // Event streams, and connections that send nothing.
        Attack::new(90, || hits.attack("GET", "/rooms/1/events", b"")),
        Attack::new(300, || TcpStream::connect(hits.address()).ok()),
    ];
    for _ in 0..3 {
        attacks.push(Attack::new(0, || hits.attack("POST", send, &objects)));
    }
    // Passwords, of which each costs 19 MiB while it is hashed.
    let wrong = br#"{"password":"wrong"}"#;
    for _ in 0..8 {
        attacks.push(Attack::new(0, || hits.attack("POST", "/auth/login", wrong)));
    }
    target.withstands(attacks);
    assert!(target.server.terminate());
}

#[test]
fn no_reader_of_long_answers_takes_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::new(folder.path());
    for _ in 0..60 {
        let send = "/rooms/1/messages/send";
        let message = longest_message();
        target.server.request("POST", send, &target.token, &message);
    }
    let paths = [
        "/rooms/1",
        "/rooms/1/messages",
        "/rooms/1/messages?limit=1000",
        "/rooms/1/messages/poll?since_id=0&limit=1000",
        "/rooms/1/events?since_id=0",
    ];
    let hits = &target;
    let attack = |path| Attack::new(60, move || hits.attack("GET", path, b""));
    target.withstands(paths.into_iter().map(attack).collect());
    assert!(target.server.terminate());
}
