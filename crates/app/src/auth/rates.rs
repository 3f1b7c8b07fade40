//! Request rates: per token, and per address for requests without a valid token and for guests.
//!
//! A guest can log in again for a new token, so its address is counted as well.

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

/// A refusal because of too many requests. The next one is admitted after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// A rate of requests per second, with a burst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(Quota);

/// The requests that one token may still send.
pub(crate) struct TokenQuota(DefaultDirectRateLimiter);

/// The requests and logins that addresses may still send.
pub(crate) struct Rates {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    logins: DefaultKeyedRateLimiter<IpAddr>,
}

impl Rate {
    /// Returns the rate of one token, which is also that of one address.
    pub(super) fn per_token(limits: &Limits) -> Self {
        let rate = Quota::per_second(at_least_one(limits.requests_per_second));
        Self(rate.allow_burst(at_least_one(limits.request_burst)))
    }

    /// Returns the full quota of a new token.
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

/// Returns the key under which an address is counted: IPv6 addresses by their /64.
///
/// A client with one IPv6 address usually controls its whole /64.
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
