//! [`Cache`], the public type of this crate: a store's ports behind a cache.

use std::sync::Arc;

use cache_core::{Manager, Runtime};
use domain::{AgentId, Repositories, RoomId};

use crate::{
    cached_store::CachedStore,
    options::Options,
    ports::{CachedPorts, ReadMode},
    recent_reads::Round,
};

/// A cache in front of a store. Clones share the cached data.
#[derive(Clone)]
pub struct Cache {
    /// The store's ports. Their reads use the cache.
    pub repositories: Repositories,
    /// The store's ports. Their reads bypass the cache. Their writes are guarded like those of
    /// [`Cache::repositories`].
    pub bypassing: Repositories,
    /// The handle for statistics, cleanup, manual invalidation and shutdown.
    pub manager: Manager,
    pub(crate) store: Arc<CachedStore>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Returns a cache that runs in the current tokio runtime and reads the system's clock.
    ///
    /// All writes to the store must go through the returned ports. Cached readers do not see any
    /// other write until the TTL ends or the key is invalidated manually.
    ///
    /// # Panics
    ///
    /// Panics if it is called outside of a tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let store = contract::memory::repositories();
    /// use cache_adapter::{Cache, Options, rows};
    ///
    /// let cache = Cache::new(store, Options::default());
    /// assert_eq!(cache.manager.stats().len(), rows().len());
    /// # }
    /// ```
    pub fn new(store: Repositories, options: Options) -> Self {
        Self::with_runtime(store, &options, Runtime::tokio())
    }

    /// Returns a cache that uses the clock of `runtime` and spawns its tasks on `runtime`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// use cache_adapter::{Cache, NAMES, Options, observe, rows};
    /// use cache_core::{Clock, Runtime};
    ///
    /// let (clock, hand) = Clock::manual();
    /// let options = Options::default();
    /// let cache = Cache::with_runtime(store, &options, Runtime::tokio_with(clock));
    /// cache.repositories.rooms.list(None, 10).await?;
    /// let list = rows().iter().find(|row| row.region == NAMES.room_list).unwrap();
    /// hand.advance(list.ttl(options.preset));
    /// let (_, provenance) = observe(cache.repositories.rooms.list(None, 10)).await;
    /// assert!(!provenance.is_hit(), "the TTL has ended");
    /// # Ok(()) }
    /// ```
    pub fn with_runtime(store: Repositories, options: &Options, runtime: Runtime) -> Self {
        let store = Arc::new(CachedStore::new(store, runtime, options));
        Self {
            repositories: CachedPorts::bundle(&store, ReadMode::Cached),
            bypassing: CachedPorts::bundle(&store, ReadMode::Bypass),
            manager: store.manager.clone(),
            store,
        }
    }

    /// Removes all cached data of a room, from every region whose key contains a room id. Returns
    /// the number of removed entries.
    ///
    /// Call it after an edit of the store that did not go through the ports. Writes through the
    /// ports invalidate the changed keys themselves.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{NewRoom, RoomName, UserId};
    ///
    /// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// let new = NewRoom { owner, name, max_interactions: None };
    /// let rooms = &cache.repositories.rooms;
    /// let room = rooms.create(new).await?.id;
    /// rooms.find(room).await?;
    /// rooms.activity(room).await?;
    /// assert_eq!(cache.invalidate_room(room), 2);
    /// # Ok(()) }
    /// ```
    pub fn invalidate_room(&self, room: RoomId) -> usize {
        self.store.regions.invalidate_room(room)
    }

    /// Removes all cached data of an agent, from every region whose key is an agent id. Returns the
    /// number of removed entries.
    ///
    /// Call it after an edit that did not go through the ports, such as an edit of the agent's
    /// files. Writes through the ports invalidate the changed keys themselves.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{AgentConfig, AgentName, NewAgent};
    ///
    /// let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
    /// let new = NewAgent { name, group: None, config, picture: None };
    /// let agent = cache.repositories.agents.create(new).await?.id;
    /// cache.repositories.configs.find(agent).await?;
    /// assert_eq!(cache.invalidate_agent(agent), 1);
    /// assert_eq!(cache.invalidate_agent(agent), 0);
    /// # Ok(()) }
    /// ```
    pub fn invalidate_agent(&self, agent: AgentId) -> usize {
        self.store.regions.invalidate_agent(agent)
    }

    /// Starts a round of file checks. Returns the agents whose files the caller should check. Their
    /// personas may be in memory and were read within the last `rounds` rounds.
    ///
    /// Removes the personas that were read less recently. The next read of such a persona goes to
    /// the store, which checks the files.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
    /// # let store = contract::memory::repositories();
    /// # let cache = cache_adapter::Cache::new(store, cache_adapter::Options::default());
    /// use domain::{AgentConfig, AgentName, NewAgent};
    ///
    /// let (name, config) = (AgentName::parse("Ada")?, AgentConfig::default());
    /// let new = NewAgent { name, group: None, config, picture: None };
    /// let agent = cache.repositories.agents.create(new).await?.id;
    /// assert!(cache.begin_probe_round(1).is_empty(), "nothing was read");
    /// cache.repositories.configs.find(agent).await?;
    /// assert_eq!(cache.begin_probe_round(1), [agent]);
    /// assert!(cache.begin_probe_round(1).is_empty(), "and its persona is dropped");
    /// # Ok(()) }
    /// ```
    pub fn begin_probe_round(&self, rounds: u64) -> Vec<AgentId> {
        let Round { recent, idle } = self.store.recent_reads.next_round(rounds);
        for id in idle {
            self.store.regions.agent_config.remove(&id);
        }
        recent
    }
}
