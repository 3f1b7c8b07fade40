//! The promises of the cache, tested through its public API.

mod absence;
mod batch;
mod blocking;
mod bulk;
mod bulk_and_tails;
mod cancellation;
mod costs;
mod elsewhere;
mod entries;
mod events;
mod every_poll;
#[cfg(feature = "faults")]
mod faults;
mod fronts;
mod guards;
mod heavy;
mod lease;
mod memory;
mod nested;
mod panics;
mod permits;
mod reads;
mod removals;
mod requests;
mod stats;
mod support;
mod tags;
mod tails;
mod tickets;
mod ttl;
mod unknown;
mod windows;
