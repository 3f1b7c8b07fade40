//! Leases: checks that cached values are unchanged, without reading the values.

use std::sync::Arc;

use cache_core::Lease;
use domain::{AgentId, RoomId, UserId};

use crate::{cache::Cache, keys::ReadKey};

/// A lease on some agents and their personas. Returned by [`Cache::lease_agents`].
#[derive(Clone, Debug)]
pub struct AgentsLease {
    ids: Arc<[AgentId]>,
    agents: Lease,
    personas: Lease,
}

/// A lease on a room's members, its sessions and one user's read position. Returned by
/// [`Cache::lease_room`].
#[derive(Clone, Copy, Debug)]
pub struct RoomLease {
    members: Lease,
    sessions: Lease,
    position: Lease,
}

impl Cache {
    /// Returns a lease on the agents and their personas; `None` if one of them is not in memory.
    ///
    /// Take the lease before you read the agents. Then every later change ends the lease, including
    /// a change between the lease and the reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{AgentConfig, AgentName, NewAgent};
    ///
    /// let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
    /// let new = NewAgent { name, group: None, config, picture: None };
    /// let ids = [cache.repositories.agents.create(new).await?.id];
    /// assert!(cache.lease_agents(&ids).is_none(), "nothing is in memory yet");
    ///
    /// cache.repositories.agents.find_many(&ids).await?;
    /// cache.repositories.configs.find_many(&ids).await?;
    /// let lease = cache.lease_agents(&ids).expect("both are in memory");
    /// assert!(cache.holds_agents(&lease));
    ///
    /// cache.repositories.agents.delete(ids[0]).await?;
    /// assert!(!cache.holds_agents(&lease));
    /// # Ok(()) }
    /// ```
    pub fn lease_agents(&self, ids: &[AgentId]) -> Option<AgentsLease> {
        let regions = &self.store.regions;
        Some(AgentsLease {
            ids: ids.into(),
            agents: regions.agent_obj.lease(ids)?,
            personas: regions.agent_config.lease(ids)?,
        })
    }

    /// Returns `true` if reads of the leased agents and personas would return the same values as
    /// when the lease was taken.
    ///
    /// May return `false` without a change: a write to other agents, an expiry or an eviction ends
    /// the lease, too. See [`Cache::lease_agents`] for an example.
    pub fn holds_agents(&self, lease: &AgentsLease) -> bool {
        let regions = &self.store.regions;
        let holds =
            regions.agent_obj.holds(&lease.agents) && regions.agent_config.holds(&lease.personas);
        if holds {
            // A derived value that is reused counts as a read of its personas, so that a persona
            // which is shown all the time is not dropped as idle.
            for id in &*lease.ids {
                self.store.recent_reads.touch(*id);
            }
        }
        holds
    }

    /// Returns a lease on the room's members, its sessions, and the read position of `user`.
    /// Returns `None` if one of the three is not in memory. The lease does not cover the room's
    /// settings and its log.
    ///
    /// Take the lease before you read the three values.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{AgentConfig, AgentName, NewAgent, UserId};
    ///
    /// let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
    /// let new = NewAgent { name, group: None, config, picture: None };
    /// let ports = &cache.repositories;
    /// let (user, agent) = (UserId::admin(), ports.agents.create(new).await?.id);
    /// let room = ports.rooms.create_direct(user.clone(), agent).await?.id;
    ///
    /// ports.rooms.members(room).await?;
    /// ports.sessions.list(room).await?;
    /// ports.read_positions.find(&user, room).await?;
    /// let lease = cache.lease_room(room, &user).expect("all three are in memory");
    /// assert!(cache.holds_room(&lease));
    ///
    /// ports.read_positions.mark(user, room).await?;
    /// assert!(!cache.holds_room(&lease));
    /// # Ok(()) }
    /// ```
    pub fn lease_room(&self, room: RoomId, user: &UserId) -> Option<RoomLease> {
        let regions = &self.store.regions;
        let user = user.clone();
        // The read position is leased first: of the three, it is most often not in memory.
        let position = regions.read_state.lease(&[ReadKey { user, room }])?;
        Some(RoomLease {
            members: regions.room_agents.lease(&[room])?,
            sessions: regions.room_sessions.lease(&[room])?,
            position,
        })
    }

    /// Returns `true` if reads of the leased members, sessions and position would return the same
    /// values as when the lease was taken.
    ///
    /// May return `false` without a change: a write to other rooms, an expiry or an eviction ends
    /// the lease, too. See [`Cache::lease_room`] for an example.
    pub fn holds_room(&self, lease: &RoomLease) -> bool {
        let regions = &self.store.regions;
        regions.room_agents.holds(&lease.members)
            && regions.room_sessions.holds(&lease.sessions)
            && regions.read_state.holds(&lease.position)
    }
}
