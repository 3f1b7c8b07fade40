//! A coherent cache in front of any [`Repositories`](domain::Repositories): a read that starts
//! after a write was acknowledged never returns an older value.
//!
//! [`Cache::new`] wraps the ports of a store, which are one trait for each kind of entity, such as
//! [`domain::Rooms`]. It returns two sets of the same ports. Reads through [`Cache::repositories`]
//! use the cache. Reads through [`Cache::bypassing`] always go to the store.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! # let store = contract::memory::repositories();
//! let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
//! let rooms = cache.repositories.rooms.list(None, 10).await?;
//! assert!(rooms.is_empty());
//! # Ok(()) }
//! ```
//!
//! # The two tables
//!
//! Two tables hold nearly all decisions of this crate:
//!
//! | table | one row | printed by |
//! |---|---|---|
//! | `regions.rs` | one kind of cached data: name, key, value, TTLs, capacity | [`regions_table`] |
//! | `stale.rs` | one write method and the keys that it makes stale | [`stale_table`] |
//!
//! To cache another kind of data, add a row to `regions.rs` and read the new region in a port's
//! method. To add a write method, add a row to `stale.rs`. Each write runs under a
//! [`WriteGuard`](cache_core::WriteGuard) for the keys in its row, so no write can run without a
//! guard.
//!
//! # Bypass
//!
//! Reads through [`Cache::bypassing`] are not served from memory and store nothing in memory.
//! Writes are guarded through both sets of ports, so cached readers see each write at once. Use the
//! bypassing ports to compare the cache with the store, or when you suspect a bug in the cache.
//!
//! # Leases
//!
//! A lease is a cheap check that cached values are unchanged. The check does not read the values.
//! Take the lease first, then read the values, and keep the result that you derive from the values
//! together with the lease. The result is current while [`Cache::holds_agents`] or
//! [`Cache::holds_room`] returns `true`. The check does not write to shared memory, so readers on
//! different cores do not contend.
//!
//! # Listening
//!
//! [`Cache::listen`] returns a listener that is notified of each write to one piece of data, after
//! readers can see the write. Register the listener before the first read. The listener then also
//! reports a write that commits between the read and the wait.
//!
//! # Several processes
//!
//! Several processes can share a store that returns each of them the changes of the others
//! ([`domain::Changes`]). Set [`Options::others_write`] to the bound by which a read may lag behind
//! them, and run a [`Follower`]. The file `stale.rs` says which keys a change makes stale.
//!
//! # Refresh of agents' files
//!
//! Agents' personas are files that people edit while the server runs. A background job calls
//! [`Cache::begin_probe_round`], checks the files of the returned agents, and calls
//! [`Cache::invalidate_agent`] for each agent whose files changed. Each round also removes personas
//! that no caller has read for some rounds, so the job checks only the files of agents in use.
//!
//! The [glossary] explains region, guard, tail, absence, bypass and lease.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod agent_files;
mod agents;
mod cache;
mod cached_store;
mod configs;
mod elsewhere;
mod follow;
mod glances;
mod guard;
mod hit_first;
mod keys;
mod leases;
mod list_parts;
mod listen;
mod log_copies;
mod log_reads;
mod memories;
mod messages;
mod newest;
mod observe;
mod options;
mod polls;
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
mod usage;
mod writes;

pub use cache::Cache;
pub use follow::Follower;
pub use leases::{AgentsLease, RoomLease};
pub use listen::ListenTarget;
pub use newest::TailLimits;
pub use observe::{Provenance, observe};
pub use options::Options;
pub use regions::{NAMES, RegionNames, rows};
pub use row::{Preset, Row};
pub use tables::{regions_table, stale_table};
