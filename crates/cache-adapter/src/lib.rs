//! Puts a coherent cache before any [`Repositories`]: no read after an acknowledged write is stale.
//!
//! Two tables are its heart: [`regions_table`], the cached data types, and [`stale_table`], what each write makes stale.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! # let store = domain::contract::memory::repositories();
//! let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
//! let rooms = cache.repositories.rooms.list().await?;
//! assert!(rooms.is_empty() && cache.manager.stats().len() == cache_adapter::rows().len());
//! # Ok(()) }
//! ```

mod agents;
mod cache;
mod joined;
mod messages;
mod observe;
mod policies;
mod rooms;
mod stale;
mod tail;

use std::{collections::HashMap, sync::Arc, time::Duration};

use cache_core::{Manager, Policy, Runtime};
use domain::{AgentId, Repositories, RoomId};

use cache::{Cached, Core};
pub use observe::{Observed, observe};
pub use policies::{Preset, Row, rows};
pub use stale::stale_table;
pub use tail::TailLimits;

/// How the regions behave. The default is the preset [`Preset::Classic`] as it stands.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The TTLs to begin from.
    pub preset: Preset,
    /// TTLs by region that differ from the preset's.
    pub ttls: HashMap<String, Duration>,
    /// Capacities by region that differ from the table's.
    pub capacities: HashMap<String, u64>,
    /// How much is kept of each room's log.
    pub tail: TailLimits,
    /// The rule of the protocol to break.
    #[cfg(feature = "faults")]
    pub fault: cache_core::Fault,
}

impl Options {
    fn policy(&self, row: &Row) -> Policy {
        let policy = row.policy(self.preset);
        let ttl = self.ttls.get(row.region).copied().unwrap_or(policy.ttl);
        let capacity = self.capacities.get(row.region).copied().unwrap_or(policy.capacity);
        Policy { absence_ttl: policy.absence_ttl.min(ttl), ttl, capacity, ..policy }
    }
}

/// A cache before a store.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The ports, read through the cache.
    pub repositories: Repositories,
    /// The same ports; reads pass the cache, writes are guarded all the same.
    pub bypassing: Repositories,
    /// Statistics, cleanup, invalidation by hand, shutdown.
    pub manager: Manager,
}

impl Cache {
    /// The cache in the tokio runtime that this is called in, with real time.
    pub fn new(store: Repositories, options: Options) -> Self {
        Self::with_runtime(store, &options, Runtime::tokio())
    }

    /// The cache with a clock and a way to spawn of the caller's.
    pub fn with_runtime(store: Repositories, options: &Options, runtime: Runtime) -> Self {
        let core = Arc::new(Core::new(store, runtime, options));
        Self { repositories: bundle(&core, false), bypassing: bundle(&core, true), manager: core.manager.clone() }
    }

    /// Removes by hand what is kept about a room, in all regions. How many entries there were.
    pub fn invalidate_room(&self, room: RoomId) -> usize {
        let keyed = ["room_obj", "room_agents", "room_activity", "room_messages", "room_answers", "room_sessions"];
        let removed: usize = keyed.iter().map(|region| self.manager.invalidate_key(&format!("{region}:{room}"))).sum();
        let images = self.manager.invalidate_glob(&format!("message_image:{room}/*"));
        removed + images + self.manager.invalidate_glob(&format!("read_state:*/{room}"))
    }

    /// Removes by hand what is kept about an agent, in all regions. How many entries there were.
    pub fn invalidate_agent(&self, agent: AgentId) -> usize {
        ["agent_obj", "agent_config"].iter().map(|region| self.manager.invalidate_key(&format!("{region}:{agent}"))).sum()
    }
}

fn bundle(core: &Arc<Core>, bypass: bool) -> Repositories {
    let cached = Arc::new(Cached { core: core.clone(), bypass });
    Repositories {
        agents: cached.clone(),
        configs: cached.clone(),
        rooms: cached.clone(),
        messages: cached.clone(),
        reads: cached.clone(),
        sessions: cached.clone(),
        settle: cached.clone(),
        health: cached,
    }
}

/// The cached data types as a Markdown table.
pub fn regions_table() -> String {
    let head = "| region and key | data | TTL classic | TTL coherent | capacity |\n|---|---|---|---|---|\n".to_owned();
    rows().iter().fold(head, |table, row| {
        let Row { region, key, data, classic, coherent, capacity, unit, .. } = row;
        table + &format!("| `{region}:{{{key}}}` | {data} | {classic} s | {coherent} s | {capacity} {unit} |\n")
    })
}
