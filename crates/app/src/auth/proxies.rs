//! The address of a client that connects through trusted proxies.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The networks of trusted proxies; empty by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(super) fn new(trusted: Vec<IpNet>) -> Self {
        Self(trusted)
    }

    /// Returns the client's address. It is the peer's address, unless the peer is a trusted proxy
    /// that sends another one in `X-Forwarded-For`.
    ///
    /// Of several forwarded addresses, the last one that is not a trusted proxy's is the client's.
    /// The addresses before it were sent by the client, which may have forged them.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.0.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let chain = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let chain: Vec<_> = chain
            .map(|address| {
                address
                    .trim()
                    .parse::<IpAddr>()
                    .map(|address| address.to_canonical())
            })
            .collect();
        let mut client = peer;
        for address in chain.into_iter().rev() {
            // An address that cannot be parsed was sent by the client or by a broken proxy. All
            // addresses before it are ignored too.
            let Ok(address) = address else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
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
