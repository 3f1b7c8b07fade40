//! The lines that the server process prints: the kinds of requests, and the addresses of the
//! servers.

use std::net::SocketAddr;

/// The number of browsers for each kind of request. Each browser has its own connection and token.
pub(super) const BROWSERS: usize = 16;
/// The last line that the process prints, when the servers are ready.
pub(super) const READY: &str = "ready";

/// The request of one browser, which repeats it on its own connection.
pub(super) struct Browser {
    pub(super) path: String,
    pub(super) token: String,
}

/// A kind of request, and the servers that answer it.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) greenroom: SocketAddr,
    pub(super) bare: SocketAddr,
    pub(super) axum: SocketAddr,
    pub(super) browsers: Vec<Browser>,
}

impl Target {
    /// Parses a line that the server process prints. Returns `None` if it has another format.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.trim().split(' ').collect();
        let [name, greenroom, bare, axum, ref browsers @ ..] = words[..] else {
            return None;
        };
        let (browsers, []) = browsers.as_chunks::<2>() else {
            return None;
        };
        Some(Self {
            name: name.replace('-', " "),
            greenroom: greenroom.parse().ok()?,
            bare: bare.parse().ok()?,
            axum: axum.parse().ok()?,
            browsers: browsers
                .iter()
                .map(|[path, token]| Browser {
                    path: (*path).to_owned(),
                    token: (*token).to_owned(),
                })
                .collect(),
        })
    }
}
