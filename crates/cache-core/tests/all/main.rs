//! The promises of the cache, tested through its public API.

mod absence;
mod batch;
mod bulk;
mod cancellation;
mod costs;
mod events;
mod every_poll;
#[cfg(feature = "faults")]
mod faults;
mod guards;
mod lease;
mod memory;
mod reads;
mod stats;
mod support;
mod tails;
mod ttl;
mod unknown;
mod windows;
