//! The creation of regions, and the builders of what a region has beside its policy.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use super::Manager;
use crate::{
    protocol::log::Fold,
    region::{
        Region,
        policy::{Key, Policy},
        printing::Printing,
        removal::Removal,
        state::{RegionParts, Weighing},
    },
    sync::Arc,
    tail::{
        TailRegion,
        copy::{Tail, TailFills},
    },
};

/// The creation of regions.
impl Manager {
    /// Creates a region whose capacity counts entries.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// let policy = Policy::new(Duration::from_secs(60), 10_000);
    /// let names = manager.region::<u64, String>("names", policy);
    /// assert_eq!(names.name(), "names");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the manager has a region of this name, and if the name contains a colon.
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
    ) -> Region<K, V> {
        self.region_builder(name, policy).build()
    }

    /// Returns the settings of a region that needs more than a policy. [`RegionBuilder`] has an
    /// example.
    pub fn region_builder<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
    ) -> RegionBuilder<'_, K, V> {
        RegionBuilder::new(self, name, policy)
    }

    /// Creates a region that holds the newest part of each log. Its capacity is in the unit of
    /// [`Fold::weight`], and `typical` is the weight of a typical value. [`TailRegion`] has an
    /// example.
    ///
    /// # Panics
    ///
    /// Panics if the manager has a region of this name, and if the name contains a colon.
    pub fn tail_region<K: Key, C: Fold>(
        &self,
        name: &'static str,
        policy: Policy,
        typical: u32,
    ) -> TailRegion<K, C> {
        self.tail_region_builder(name, policy, typical).build()
    }

    /// Returns the settings of a region of logs that needs more than [`Manager::tail_region`] sets.
    /// [`TailRegionBuilder`] has an example.
    pub fn tail_region_builder<K: Key, C: Fold>(
        &self,
        name: &'static str,
        policy: Policy,
        typical: u32,
    ) -> TailRegionBuilder<'_, K, C> {
        TailRegionBuilder::new(self, name, policy, typical)
    }
}

/// The settings of a [`Region`] beside its policy. [`Manager::region_builder`] returns one.
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Clock, Manager, Policy, Runtime, Unknown};
/// let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// let policy = Policy::new(Duration::from_secs(60), 64 << 20);
/// let texts = manager
///     .region_builder::<u64, String>("texts", policy)
///     .weigher(1_000, |_, text| u32::try_from(text.len()).unwrap_or(u32::MAX))
///     .printed_keys()
///     .on_removal(|key, _, reason| println!("text {key} is gone: {reason:?}"))
///     .build();
/// texts.insert(7, "Hello".to_owned());
/// assert_eq!(texts.stats().weight, 5);
/// assert_eq!(manager.invalidate_key("texts:7"), 1);
/// ```
#[must_use = "a builder makes no region until it is told to"]
pub struct RegionBuilder<'a, K, V> {
    manager: &'a Manager,
    name: &'static str,
    policy: Policy,
    parts: RegionParts<K, V>,
}

impl<K, V> fmt::Debug for RegionBuilder<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<'a, K: Key, V: Clone + Send + Sync + 'static> RegionBuilder<'a, K, V> {
    pub(crate) fn new(manager: &'a Manager, name: &'static str, policy: Policy) -> Self {
        Self {
            manager,
            name,
            policy,
            parts: RegionParts::default(),
        }
    }

    /// Counts the capacity by the weight that `weigher` returns. `typical` is the weight of a
    /// typical entry, by which memory is reserved.
    ///
    /// The weigher is called before a value is stored, while the cache holds no lock. It must not
    /// wait, because readers and writers of the value wait for it.
    pub fn weigher(
        mut self,
        typical: u32,
        weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static,
    ) -> Self {
        let weigher = Box::new(weigher);
        self.parts.weighing = Some(Weighing { weigher, typical });
        self
    }

    /// Lets operators name the keys of the region by its name, a colon and their `Display` form,
    /// for example `texts:7`, and lets events show them. `FromStr` must parse what `Display`
    /// prints.
    ///
    /// A region without printed keys is reached as a whole, by its name and a colon.
    pub fn printed_keys(mut self) -> Self
    where
        K: Display + FromStr,
    {
        self.parts.printing = Some(Printing::new());
        self
    }

    /// Calls `listener` with each value that leaves the region, and the reason.
    ///
    /// It runs in the task or on the thread that removed the value, while the cache holds no lock,
    /// and never in a read that finds its value in memory. It must not wait: a channel takes the
    /// values to slower work.
    pub fn on_removal(mut self, listener: impl Fn(K, V, Removal) + Send + Sync + 'static) -> Self {
        self.parts.removal_listener = Some(Box::new(listener));
        self
    }

    /// Creates the region.
    ///
    /// # Panics
    ///
    /// Panics if the manager has a region of this name, and if the name contains a colon.
    pub fn build(self) -> Region<K, V> {
        self.manager.add(self.name, self.policy, self.parts)
    }
}

/// The settings of a [`TailRegion`] beside its policy. [`Manager::tail_region_builder`] returns
/// one.
///
/// ```
/// # use std::time::Duration;
/// # use cache_core::{Clock, Fold, Manager, Policy, Runtime, Unknown};
/// # struct Lines(Vec<String>);
/// # impl Fold for Lines {
/// #     type Entry = String;
/// #     fn apply(&mut self, _: u64, line: &String) { self.0.push(line.clone()); }
/// # }
/// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// let policy = Policy::new(Duration::from_secs(60), 100);
/// let logs = manager.tail_region_builder::<u64, Lines>("logs", policy, 1).printed_keys().build();
/// assert_eq!(manager.invalidate_key("logs:7"), 0);
/// # drop(logs);
/// ```
#[must_use = "a builder makes no region until it is told to"]
pub struct TailRegionBuilder<'a, K, C: Fold> {
    region: RegionBuilder<'a, K, Arc<Tail<C>>>,
}

impl<K, C: Fold> fmt::Debug for TailRegionBuilder<'_, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.region.fmt(f)
    }
}

impl<'a, K: Key, C: Fold> TailRegionBuilder<'a, K, C> {
    pub(crate) fn new(
        manager: &'a Manager,
        name: &'static str,
        policy: Policy,
        typical: u32,
    ) -> Self {
        let mut region = RegionBuilder::new(manager, name, policy);
        region = region.weigher(typical, |_, tail: &Arc<Tail<C>>| tail.weight());
        region.parts.fills = Some(Box::new(TailFills));
        Self { region }
    }

    /// Lets operators name the keys of the region, as [`RegionBuilder::printed_keys`] does.
    pub fn printed_keys(mut self) -> Self
    where
        K: Display + FromStr,
    {
        self.region = self.region.printed_keys();
        self
    }

    /// Creates the region.
    ///
    /// # Panics
    ///
    /// Panics if the manager has a region of this name, and if the name contains a colon.
    pub fn build(self) -> TailRegion<K, C> {
        TailRegion(self.region.build())
    }
}
