//! A coherent cache in front of any [`Repositories`](domain::Repositories): a read that starts
//! after a write was acknowledged never returns an older value.
//!
//! [`Cache::new`] takes a store's ports and returns two sets of the same ports.
//! [`Cache::repositories`] reads through the cache. [`Cache::bypassing`] reads the store.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! # let store = contract::memory::repositories();
//! let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
//! let rooms = cache.repositories.rooms.list().await?;
//! assert!(rooms.is_empty());
//! # Ok(()) }
//! ```
//!
//! # The two tables
//!
//! Nearly all decisions of this crate are rows of one of two tables:
//!
//! | table | a row says | printed by |
//! |---|---|---|
//! | `regions.rs` | which data is cached: name, key, value, TTLs, capacity | [`regions_table`] |
//! | `stale.rs` | which keys a write method makes stale | [`stale_table`] |
//!
//! To cache another kind of data, add a row to the first table and read the region in a port's
//! method. To add a write method, add a row to the second. A write runs under a guard over the keys
//! of its row, so it cannot run without one.
//!
//! # Bypass
//!
//! Reads through [`Cache::bypassing`] are not served from memory and store nothing. Writes behave
//! alike through both sets of ports: each opens its guard, so cached readers see it at once. Use
//! the bypassing ports to compare the cache with the store, or while the cache is in doubt.
//!
//! # Leases
//!
//! A lease answers whether cached values are unchanged, without reading them. Take it first, read
//! the values, and keep what you derive from them together with the lease. While
//! [`Cache::holds_agents`] or [`Cache::holds_room`] returns `true`, the derived value is current.
//! Checking a lease writes no shared cache line.
//!
//! # Listening
//!
//! [`Cache::listen`] returns a listener that wakes after each write to one piece of data, once
//! readers can see that write. Register it before the first read; then no write can fall between
//! the read and the wait.
//!
//! # Refresh of agents' files
//!
//! Agents' personas are files that people edit while the server runs. A background job calls
//! [`Cache::begin_probe_round`], checks the files of the returned agents, and calls
//! [`Cache::invalidate_agent`] for those that changed. Personas that no caller has read for some
//! rounds are dropped instead, so the number of checked files follows the traffic.
//!
//! The project's glossary (`docs/glossary.md`) explains region, guard, tail, absence, bypass and
//! lease.

mod agents;
mod cache;
mod cached_store;
mod configs;
mod guard;
mod hit_first;
mod keys;
mod leases;
mod listen;
mod log_copies;
mod log_reads;
mod messages;
mod newest;
mod observe;
mod options;
mod ports;
mod read_positions;
mod reads;
mod recent_reads;
mod regions;
mod rooms;
mod row;
mod sessions;
mod stale;
mod tables;
mod writes;

pub use cache::Cache;
pub use leases::{AgentsLease, RoomLease};
pub use listen::ListenTarget;
pub use newest::TailLimits;
pub use observe::{Provenance, observe};
pub use options::Options;
pub use regions::{NAMES, RegionNames, rows};
pub use row::{Preset, Row};
pub use tables::{regions_table, stale_table};
