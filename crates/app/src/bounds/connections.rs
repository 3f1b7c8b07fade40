//! Bounds on connections: in all, and by address. A reserve remains for administrators and for
//! health checks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use ipnet::IpNet;

use super::waits::remove_one;
use crate::{auth::network, settings::Settings};

/// The number of connections beyond the limit. They serve administrators and health checks, and
/// refuse all other requests.
const RESERVE: usize = 64;
/// The number of these connections that one address may have.
const RESERVE_PER_ADDRESS: usize = 4;

/// A marker among a request's extensions: the request came over a connection of the reserve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved;

/// The open connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    counts: Arc<Mutex<Counts>>,
    open: Arc<AtomicUsize>,
    max: usize,
    max_per_address: usize,
    trusted_proxies: Arc<[IpNet]>,
}

#[derive(Debug, Default)]
struct Counts {
    usual: usize,
    usual_by_address: HashMap<IpAddr, usize>,
    reserved: usize,
    reserved_by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection. It is free again when the slot is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Connections,
    address: IpAddr,
    pub(crate) is_reserved: bool,
}

impl Connections {
    /// Creates the bounds. `open` is set to the number of open connections, for the metrics.
    pub(crate) fn new(settings: &Settings, open: Arc<AtomicUsize>) -> Self {
        Self {
            counts: Arc::default(),
            open,
            max: settings.limits.connections,
            max_per_address: settings.limits.connections_per_address,
            trusted_proxies: settings.trusted_proxies.clone().into(),
        }
    }

    /// Returns a slot for a new connection: a usual one, or one of the reserve if the limit or the
    /// address's limit is reached. Returns `None` if the reserve is taken, too.
    ///
    /// The connections of trusted proxies belong to many clients, so they have no limit by address.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Slot> {
        let address = address.to_canonical();
        let is_proxy = self
            .trusted_proxies
            .iter()
            .any(|net| net.contains(&address));
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count_of = |counts: &HashMap<_, _>| counts.get(&address).copied().unwrap_or(0);
        let is_usual = counts.usual < self.max
            && (is_proxy || count_of(&counts.usual_by_address) < self.max_per_address);
        if is_usual {
            counts.usual += 1;
            *counts.usual_by_address.entry(address).or_default() += 1;
        } else {
            let of_address = count_of(&counts.reserved_by_address);
            if counts.reserved >= RESERVE || (!is_proxy && of_address >= RESERVE_PER_ADDRESS) {
                return None;
            }
            counts.reserved += 1;
            *counts.reserved_by_address.entry(address).or_default() += 1;
        }
        // Relaxed: the metrics may miss a connection that is being counted.
        self.open.fetch_add(1, Ordering::Relaxed);
        drop(counts);
        Some(Slot {
            connections: self.clone(),
            address,
            is_reserved: !is_usual,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let connections = &self.connections;
        let counts = connections.counts.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        if self.is_reserved {
            counts.reserved -= 1;
            remove_one(&mut counts.reserved_by_address, &self.address);
        } else {
            counts.usual -= 1;
            remove_one(&mut counts.usual_by_address, &self.address);
        }
        // Relaxed: see `admit`.
        connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flags;

    #[test]
    fn an_address_beyond_its_limit_takes_a_small_part_of_the_reserve() {
        let mut settings = Settings::read(Flags::default()).unwrap();
        settings.limits.connections = 5;
        settings.limits.connections_per_address = 3;
        settings.trusted_proxies = vec!["10.9.0.0/16".parse().unwrap()];
        let open = Arc::new(AtomicUsize::new(0));
        let connections = Connections::new(&settings, open.clone());
        let admit = |text: &str| connections.admit(text.parse().unwrap());
        let greedy: Vec<_> = (0..3 + RESERVE_PER_ADDRESS)
            .map(|_| admit("10.0.0.1").unwrap())
            .collect();
        let reserved = greedy.iter().filter(|slot| slot.is_reserved).count();
        assert_eq!(reserved, RESERVE_PER_ADDRESS);
        assert!(admit("10.0.0.1").is_none() && admit("::ffff:10.0.0.1").is_none());
        let other = admit("10.0.0.2").unwrap();
        let last = admit("10.9.0.1").unwrap();
        assert!(!other.is_reserved && !last.is_reserved);
        assert!(
            admit("10.0.0.3").unwrap().is_reserved,
            "the limit is reached"
        );
        let proxy: Vec<_> = (0..RESERVE - RESERVE_PER_ADDRESS)
            .map(|_| admit("10.9.0.1").unwrap())
            .collect();
        assert!(admit("10.0.0.3").is_none(), "the reserve is taken");
        let [one, beside]: [Slot; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| {
            let slots = Connections::new(&settings, Arc::default());
            slots.admit(text.parse().unwrap()).unwrap()
        });
        assert_eq!(
            one.address, beside.address,
            "a client has a whole /64 network"
        );
        drop((greedy, other, last, proxy));
        assert_eq!(open.load(Ordering::Relaxed), 0);
        assert!(!admit("10.0.0.1").unwrap().is_reserved);
    }
}
