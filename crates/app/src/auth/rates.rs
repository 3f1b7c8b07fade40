//! Rate limits on requests. They apply to each token, and to each address for what a token cannot
//! limit: guests, open paths, wrong tokens and logins.
//!
//! A guest can get another token by logging in again, so its address is limited too.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota,
    clock::{Clock, DefaultClock, QuantaInstant},
};

use crate::settings::Limits;

/// A refusal because of too many requests. The next request is admitted after this duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// A limit on the requests per second. A burst of requests may exceed it for a short time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(Quota);

/// The number of requests that may still be sent with one token.
pub(crate) struct TokenQuota(DefaultDirectRateLimiter);

/// A group of requests that are counted together for each address. One group that uses up its quota
/// does not refuse requests of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Requests of guests. Their quota is larger, because many guests may share one address.
    Guests,
    /// Requests for paths that need no token.
    Open,
    /// Health checks.
    Health,
    /// Requests with a missing or wrong token.
    WrongTokens,
    /// Logins.
    Logins,
}

/// The numbers of requests that each address may still send.
pub(crate) struct Rates([DefaultKeyedRateLimiter<IpAddr>; 5]);

/// The number of requests that were refused because of too many.
#[derive(Default)]
pub(super) struct LimitedCounts {
    tokens: AtomicU64,
    addresses: AtomicU64,
}

// Relaxed: the counts are shown, and order nothing.
impl LimitedCounts {
    pub(super) fn count_token(&self) {
        self.tokens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_address(&self) {
        self.addresses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn by_kind(&self) -> [(&'static str, u64); 2] {
        [("token", &self.tokens), ("address", &self.addresses)]
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }
}

impl Rate {
    /// Returns the limit for one token. The limit for open paths of one address is the same.
    pub(super) fn per_token(limits: &Limits) -> Self {
        Self::new(limits.requests_per_second, limits.request_burst)
    }

    fn new(per_second: u32, burst: u32) -> Self {
        let rate = Quota::per_second(at_least_one(per_second));
        Self(rate.allow_burst(at_least_one(burst)))
    }

    /// Returns an unused quota for a new token.
    pub(super) fn quota(self) -> TokenQuota {
        TokenQuota(DefaultDirectRateLimiter::direct(self.0))
    }
}

impl TokenQuota {
    /// Counts a request. Fails if the token has used up its quota.
    pub(super) fn count(&self) -> Result<(), TooMany> {
        self.0.check().map_err(|until| too_many(&until))
    }
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        let usual = Rate::per_token(limits).0;
        let guests = Rate::new(limits.guest_requests_per_second, limits.guest_request_burst).0;
        let logins = Quota::per_minute(at_least_one(limits.logins_per_minute));
        let quotas = [guests, usual, usual, usual, logins];
        Self(quotas.map(DefaultKeyedRateLimiter::keyed))
    }

    /// Counts a request. Fails if its address has used up the quota of its group.
    pub(crate) fn count(&self, counted: Counted, address: IpAddr) -> Result<(), TooMany> {
        let limiter = &self.0[counted as usize];
        limiter
            .check_key(&network(address))
            .map_err(|until| too_many(&until))
    }

    /// Drops the counters of addresses whose quota is full again.
    pub(super) fn forget_idle(&self) {
        for limiter in &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn too_many(until: &NotUntil<QuantaInstant>) -> TooMany {
    TooMany(until.wait_time_from(DefaultClock::default().now()))
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Returns the key under which an address is counted: an IPv4 address itself, or the /64 prefix of
/// an IPv6 address.
///
/// A client with one IPv6 address usually controls all addresses with the same /64 prefix.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_counted_by_network_and_refused_with_the_time_to_wait() {
        let rates = Rates::new(&Limits {
            logins_per_minute: 20,
            ..Limits::default()
        });
        let [first, beside, elsewhere]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        for _ in 0..20 {
            rates.count(Counted::Logins, first).unwrap();
        }
        let TooMany(wait) = rates.count(Counted::Logins, beside).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(3),
            "{wait:?}"
        );
        rates.count(Counted::Logins, elsewhere).unwrap();
        rates.forget_idle();
        assert!(
            rates.count(Counted::Logins, first).is_err(),
            "a recent address stays counted"
        );
        for counted in [
            Counted::Guests,
            Counted::Open,
            Counted::Health,
            Counted::WrongTokens,
        ] {
            rates.count(counted, first).unwrap();
        }
    }
}
