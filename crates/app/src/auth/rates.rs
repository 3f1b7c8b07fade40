//! How often a caller may ask: each token by itself, and addresses before a token and for guests.

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

/// Refused, until this has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// Requests a second in the long run, and at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(Quota);

/// What one token may ask.
pub(crate) struct Share(DefaultDirectRateLimiter);

/// What addresses may ask.
pub(crate) struct Rates {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    logins: DefaultKeyedRateLimiter<IpAddr>,
}

impl Rate {
    pub(crate) fn new(a_second: u32, burst: u32) -> Self {
        Self(Quota::per_second(at_least_one(a_second)).allow_burst(at_least_one(burst)))
    }

    pub(super) fn share(self) -> Share {
        Share(DefaultDirectRateLimiter::direct(self.0))
    }
}

impl Share {
    pub(super) fn count(&self) -> Result<(), TooMany> {
        self.0.check().map_err(|until| too_many(&until))
    }
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        let logins = Quota::per_minute(at_least_one(limits.logins_per_minute));
        Self {
            requests: DefaultKeyedRateLimiter::keyed(limits.rate().0),
            logins: DefaultKeyedRateLimiter::keyed(logins),
        }
    }

    /// Counts a request without a good token, or of a guest.
    pub(crate) fn request(&self, address: IpAddr) -> Result<(), TooMany> {
        self.requests
            .check_key(&network(address))
            .map_err(|until| too_many(&until))
    }

    /// Counts a login.
    pub(crate) fn login(&self, address: IpAddr) -> Result<(), TooMany> {
        self.logins
            .check_key(&network(address))
            .map_err(|until| too_many(&until))
    }

    /// Forgets addresses that have not asked lately.
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

/// Who has one IPv6 address has its whole /64.
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
    fn logins_are_counted_by_network_and_told_when_to_come_back() {
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
            "one that asked lately is remembered"
        );
    }
}
