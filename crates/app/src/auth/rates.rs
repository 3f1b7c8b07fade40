//! Rate limits on requests. They apply to each token. For guests and for requests without a valid
//! token, they also apply to each address.
//!
//! A guest can get another token by logging in again, so its address is limited too.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
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

/// The numbers of requests and of logins that each address may still send.
pub(crate) struct Rates {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    logins: DefaultKeyedRateLimiter<IpAddr>,
}

impl Rate {
    /// Returns the limit for one token. The limit for one address is the same.
    pub(super) fn per_token(limits: &Limits) -> Self {
        let rate = Quota::per_second(at_least_one(limits.requests_per_second));
        Self(rate.allow_burst(at_least_one(limits.request_burst)))
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
        let logins = Quota::per_minute(at_least_one(limits.logins_per_minute));
        Self {
            requests: DefaultKeyedRateLimiter::keyed(Rate::per_token(limits).0),
            logins: DefaultKeyedRateLimiter::keyed(logins),
        }
    }

    /// Counts a request that has no valid token or comes from a guest. Fails if its address has
    /// used up its quota.
    pub(crate) fn request(&self, address: IpAddr) -> Result<(), TooMany> {
        self.requests
            .check_key(&network(address))
            .map_err(|until| too_many(&until))
    }

    /// Counts a login attempt. Fails if its address has used up its quota.
    pub(crate) fn login(&self, address: IpAddr) -> Result<(), TooMany> {
        self.logins
            .check_key(&network(address))
            .map_err(|until| too_many(&until))
    }

    /// Drops the counters of addresses whose quota is full again.
    pub(crate) fn forget_idle(&self) {
        for limiter in [&self.requests, &self.logins] {
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
fn network(address: IpAddr) -> IpAddr {
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
            rates.login(first).unwrap();
        }
        let TooMany(wait) = rates.login(beside).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(3),
            "{wait:?}"
        );
        rates.login(elsewhere).unwrap();
        rates.forget_idle();
        assert!(
            rates.login(first).is_err(),
            "a recent address stays counted"
        );
    }
}
