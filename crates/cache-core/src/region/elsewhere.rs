//! Changes that other processes made, and values of the source that are not stored.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Region,
    loader::{LoadFailure, Loaded},
    policy::Key,
    removal::Removal,
    state::RegionState,
};

/// Changes of other processes; see [`Builder::others_write`](crate::Builder::others_write).
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Reports that another process changed the value of `key`. Notifies the listeners of the key.
    ///
    /// The value or absence in memory is removed, no load in progress is stored, and the row of an
    /// open write is not stored either.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let runtime = Runtime::new(Clock::manual().0, drop);
    /// let bound = Duration::from_secs(1);
    /// let manager = Manager::builder(runtime, Unknown::Never).others_write(bound).build();
    /// let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.changed_elsewhere(&7);
    /// assert_eq!(names.get(&7), None);
    /// ```
    pub fn changed_elsewhere(&self, key: &K) {
        let state = &*self.state;
        state.remove_changed(key);
        state.listeners.notify(key);
    }

    /// Reports that another process changed the values of every key for which `covers` returns
    /// `true`, as [`Region::changed_elsewhere`] does for one. Notifies all listeners of the region.
    ///
    /// It visits every entry of the region. `covers` is called under a lock: it must not wait, and
    /// it must not call the cache.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let runtime = Runtime::new(Clock::manual().0, drop);
    /// # let bound = Duration::from_secs(1);
    /// # let manager = Manager::builder(runtime, Unknown::Never).others_write(bound).build();
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.insert(8, "Grace");
    /// names.changed_elsewhere_where(|key| key % 2 == 1);
    /// assert!(!names.contains_key(&7) && names.len() == 1);
    /// ```
    pub fn changed_elsewhere_where(&self, covers: impl Fn(&K) -> bool) {
        self.state.invalidate_where(covers);
        self.state.listeners.notify_all();
    }

    /// Reports that another process created values whose keys are not known: no absence that was
    /// found before is served any more.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let runtime = Runtime::new(Clock::manual().0, drop);
    /// # let bound = Duration::from_secs(1);
    /// # let manager = Manager::builder(runtime, Unknown::Never).others_write(bound).build();
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let look = || {
    ///     let read = names.get_or_load_blocking(7, || Ok::<_, std::fmt::Error>(None));
    ///     read.map(|read| read.source).unwrap()
    /// };
    /// assert_eq!([look(), look()], [Source::Loaded, Source::Hit]);
    /// names.created_elsewhere();
    /// assert_eq!(look(), Source::Loaded);
    /// ```
    pub fn created_elsewhere(&self) {
        self.state.begin_create();
        self.state.end_create();
    }

    /// Removes the value of `key` if other processes write. Call it before returning a value that
    /// was read from the source and is not stored: the one in memory may be older.
    ///
    /// Loads and bypassing reads of the region do it automatically.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let runtime = Runtime::new(Clock::manual().0, drop);
    /// # let bound = Duration::from_secs(1);
    /// # let manager = Manager::builder(runtime, Unknown::Never).others_write(bound).build();
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.will_return(&7);
    /// assert_eq!(names.get(&7), None);
    /// ```
    pub fn will_return(&self, key: &K) {
        self.state.remove_before_return(key);
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Removes the value in memory before a reader returns one of the source that is not stored. Of
    /// two readers of this process, the later one would otherwise return the older value: a write
    /// of another process is in the source before it is reported here.
    fn remove_before_return(&self, key: &K) {
        if !self.serving.has_one_writer() && self.rules().unstored_removes() {
            self.remove_changed(key);
        }
    }

    /// Returns the result of a load that is not stored, before its readers get it.
    pub(super) fn unstored(
        &self,
        key: &K,
        result: Result<Loaded<V>, LoadFailure>,
    ) -> Result<Loaded<V>, LoadFailure> {
        let loaded = result?;
        // A reader of the end of a log raises its floor instead, unless there is no log.
        if self.fills.is_some() && loaded.value.is_some() {
            return Ok(loaded);
        }
        let removed = catch_unwind(AssertUnwindSafe(|| self.remove_before_return(key)));
        removed.map_or(Err(LoadFailure::Panicked), |()| Ok(loaded))
    }

    fn remove_changed(&self, key: &K) {
        let rules = self.rules();
        let removed = self.take_out(key, |progress| {
            if !rules.elsewhere_reaches(progress) {
                return None;
            }
            let load = progress.invalidate();
            rules.unregistered_elsewhere(progress, load.clone());
            load
        });
        self.finish_removal(removed.values, Removal::Written);
    }
}
