//! The address of a client that connects through trusted proxies.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of trusted proxies; empty by default.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    /// `true` once a forwarded address was ignored and the log says so.
    has_warned: AtomicBool,
}

impl Proxies {
    pub(super) fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            has_warned: AtomicBool::new(false),
        }
    }

    /// Returns the client's address. It is the peer's address, unless the peer is a trusted proxy
    /// that sends another one in `X-Forwarded-For`.
    ///
    /// Of several forwarded addresses, the last one that is not a trusted proxy's is the client's.
    /// The addresses before it were sent by the client, which may have forged them.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.trusted.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let chain = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let chain: Vec<_> = chain.map(|text| parse(text.trim())).collect();
        let mut client = peer;
        for address in chain.into_iter().rev() {
            // An address that cannot be parsed was sent by the client or by a broken proxy. All
            // addresses before it are ignored too.
            let Some(address) = address else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    /// Logs one warning if a request has a forwarded address that is ignored. All clients behind
    /// that proxy then share the limits of one address.
    pub(crate) fn warn_if_ignored(&self, peer: IpAddr, headers: &HeaderMap) {
        let is_ignored = !self.trusts(peer);
        // Relaxed: two requests at the same time may both write the warning.
        if !is_ignored
            || self.has_warned.load(Ordering::Relaxed)
            || !headers.contains_key(FORWARDED_FOR)
        {
            return;
        }
        self.has_warned.store(true, Ordering::Relaxed);
        tracing::warn!(
            %peer,
            "X-Forwarded-For ignored: its sender is not a trusted proxy, so all clients behind it \
             share one limit; if it is your proxy, start with `--trusted-proxy {peer}`"
        );
    }

    /// Returns `true` for the address of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|net| net.contains(&address))
    }
}

/// Parses a forwarded address. Some proxies add the client's port, or brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(with_port).or_else(in_brackets);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = Proxies::new(trusted.iter().map(|net| net.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(
                "x-forwarded-for",
                axum::http::HeaderValue::from_static(value),
            );
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_may_forward_an_address() {
        assert_eq!(client(&[], "127.0.0.1", &["9.9.9.9"]), "127.0.0.1");
        assert_eq!(
            client(&["10.0.0.0/8"], "127.0.0.1", &["9.9.9.9"]),
            "127.0.0.1"
        );
        assert_eq!(
            client(&["127.0.0.0/8"], "127.0.0.1", &["9.9.9.9"]),
            "9.9.9.9"
        );
        assert_eq!(
            client(&["127.0.0.0/8"], "::ffff:127.0.0.1", &["9.9.9.9"]),
            "9.9.9.9"
        );
    }

    #[test]
    fn a_forwarded_address_may_have_a_port() {
        for (forwarded, address) in [
            ("9.9.9.9:5678", "9.9.9.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("1.1.1.1, 9.9.9.9:1", "9.9.9.9"),
        ] {
            assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &[forwarded]), address);
        }
    }

    #[test]
    fn addresses_that_a_client_wrote_itself_are_ignored() {
        assert_eq!(
            client(&["127.0.0.0/8"], "127.0.0.1", &["1.1.1.1, 9.9.9.9"]),
            "9.9.9.9"
        );
        assert_eq!(
            client(
                &["127.0.0.0/8", "10.0.0.0/8"],
                "127.0.0.1",
                &["1.1.1.1", "9.9.9.9, 10.1.2.3"]
            ),
            "9.9.9.9"
        );
        assert_eq!(
            client(&["127.0.0.0/8"], "127.0.0.1", &["junk"]),
            "127.0.0.1"
        );
        assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &[]), "127.0.0.1");
    }
}
