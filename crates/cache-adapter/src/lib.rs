//! Puts a coherent cache before any [`Repositories`]: no read after an acknowledged write is stale.
//!
//! Two tables are its heart: [`regions_table`], the cached data types, and [`stale_table`], what each write makes stale.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! # let store = contract::memory::repositories();
//! let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
//! let rooms = cache.repositories.rooms.list().await?;
//! assert!(rooms.is_empty() && cache.manager.stats().len() == cache_adapter::rows().len());
//! # Ok(()) }
//! ```

mod agents;
mod cache;
mod hit_first;
mod joined;
mod lately;
mod messages;
mod observe;
mod policies;
mod rooms;
mod stale;
mod tail;

use std::{collections::HashMap, sync::Arc, time::Duration};

use cache_core::{Lease, Listener, Manager, Policy, Runtime};
use domain::{AgentId, Repositories, RoomId, UserId};

use cache::{Cached, Core, Pair};
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
        let capacity = self
            .capacities
            .get(row.region)
            .copied()
            .unwrap_or(policy.capacity);
        Policy {
            absence_ttl: policy.absence_ttl.min(ttl),
            ttl,
            capacity,
            ..policy
        }
    }
}

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A room's log: messages, clears, and the room's deletion.
    Messages(RoomId),
    /// A room's changes and its deletion.
    Room(RoomId),
    /// Who is in a room.
    Members(RoomId),
    /// An agent's identity.
    Agent(AgentId),
    /// An agent's persona.
    Config(AgentId),
}

/// That some agents and their personas are what they are in memory.
#[derive(Clone, Copy, Debug)]
pub struct AgentsLease {
    agents: Lease,
    personas: Lease,
}

/// That members and sessions of a room are, and how far one user has read it is, as it is in memory.
#[derive(Clone, Copy, Debug)]
pub struct RoomLease {
    members: Lease,
    sessions: Lease,
    position: Lease,
}

/// A cache before a store.
#[derive(Clone)]
pub struct Cache {
    /// The ports, read through the cache.
    pub repositories: Repositories,
    /// The same ports; reads pass the cache, writes are guarded all the same.
    pub bypassing: Repositories,
    /// Statistics, cleanup, invalidation by hand, shutdown.
    pub manager: Manager,
    core: Arc<Core>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// The cache in the tokio runtime that this is called in, with real time.
    pub fn new(store: Repositories, options: Options) -> Self {
        Self::with_runtime(store, &options, Runtime::tokio())
    }

    /// The cache with a clock and a way to spawn of the caller's.
    pub fn with_runtime(store: Repositories, options: &Options, runtime: Runtime) -> Self {
        let core = Arc::new(Core::new(store, runtime, options));
        Self {
            repositories: bundle(&core, false),
            bypassing: bundle(&core, true),
            manager: core.manager.clone(),
            core,
        }
    }

    /// Hears of each write to what `topic` names, after it was applied. To miss nothing, listen first, then read.
    pub fn listen(&self, topic: Topic) -> Listener {
        let of = &self.core.regions;
        match topic {
            Topic::Messages(room) => of.room_messages.region().listen(room),
            Topic::Room(room) => of.room_obj.listen(room),
            Topic::Members(room) => of.room_agents.listen(room),
            Topic::Agent(agent) => of.agent_obj.listen(agent),
            Topic::Config(agent) => of.agent_config.listen(agent),
        }
    }

    /// Taken before these agents and their personas are read, to tell later without reading them whether they are still the
    /// same; `None` if one of them is not in memory.
    pub fn lease_agents(&self, ids: &[AgentId]) -> Option<AgentsLease> {
        let of = &self.core.regions;
        Some(AgentsLease {
            agents: of.agent_obj.lease(ids)?,
            personas: of.agent_config.lease(ids)?,
        })
    }

    /// Whether reading the agents and their personas would give the same.
    pub fn holds_agents(&self, lease: &AgentsLease) -> bool {
        let of = &self.core.regions;
        of.agent_obj.holds(&lease.agents) && of.agent_config.holds(&lease.personas)
    }

    /// The same for what is read of a room besides the room itself and its log.
    pub fn lease_room(&self, room: RoomId, user: &UserId) -> Option<RoomLease> {
        let of = &self.core.regions;
        let position = of.read_state.lease(&[Pair(user.clone(), room)])?;
        Some(RoomLease {
            members: of.room_agents.lease(&[room])?,
            sessions: of.room_sessions.lease(&[room])?,
            position,
        })
    }

    /// Whether reading members, sessions and the position would give the same.
    pub fn holds_room(&self, lease: &RoomLease) -> bool {
        let of = &self.core.regions;
        of.room_agents.holds(&lease.members)
            && of.room_sessions.holds(&lease.sessions)
            && of.read_state.holds(&lease.position)
    }

    /// How many listen to a room's log, waiting for its next message.
    pub fn waiting(&self, room: RoomId) -> usize {
        self.core.regions.room_messages.region().listeners(&room)
    }

    /// Removes by hand what is kept about a room, in all regions. How many entries there were.
    pub fn invalidate_room(&self, room: RoomId) -> usize {
        let keyed = [
            "room_obj",
            "room_agents",
            "room_activity",
            "room_messages",
            "room_answers",
            "room_sessions",
        ];
        let removed: usize = keyed
            .iter()
            .map(|region| self.manager.invalidate_key(&format!("{region}:{room}")))
            .sum();
        let images = self
            .manager
            .invalidate_glob(&format!("message_image:{room}/*"));
        removed
            + images
            + self
                .manager
                .invalidate_glob(&format!("read_state:*/{room}"))
    }

    /// Begins a round of looking at agents' files: those whose persona is in memory and was read within the last `rounds`
    /// rounds. The personas of others are let go, so that their next read reads the store.
    pub fn agents_read_lately(&self, rounds: u64) -> Vec<AgentId> {
        let of = &self.core.regions;
        let (lately, idle) = of.lately.next_round(rounds);
        for id in idle {
            of.agent_config.remove(&id);
        }
        lately
    }

    /// Removes by hand what is kept about an agent, in all regions. How many entries there were.
    pub fn invalidate_agent(&self, agent: AgentId) -> usize {
        ["agent_obj", "agent_config"]
            .iter()
            .map(|region| self.manager.invalidate_key(&format!("{region}:{agent}")))
            .sum()
    }
}

fn bundle(core: &Arc<Core>, bypass: bool) -> Repositories {
    let cached = Arc::new(Cached {
        core: core.clone(),
        bypass,
    });
    Repositories {
        agents: cached.clone(),
        configs: cached.clone(),
        rooms: cached.clone(),
        messages: cached.clone(),
        read_positions: cached.clone(),
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
