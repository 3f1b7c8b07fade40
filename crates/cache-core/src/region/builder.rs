//! The builders of regions: what a region has beside its policy.

use std::{fmt::Display, str::FromStr};

use super::{
    Region,
    policy::{Key, Policy},
    printing::Printing,
    removal::Removal,
    state::{RegionParts, Weighing},
};
use crate::{
    manager::Manager,
    protocol::log::Fold,
    sync::Arc,
    tail::{
        TailRegion,
        copy::{Tail, TailFills},
    },
};

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

    /// Lets operators name the keys of the region by its name, a colon and their `Display` form, for
    /// example `texts:7`, and lets events show them. `FromStr` must parse what `Display` prints.
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
    /// Panics if the manager has a region of this name.
    pub fn build(self) -> Region<K, V> {
        self.manager.add(self.name, self.policy, self.parts)
    }
}

/// The settings of a [`TailRegion`] beside its policy. [`Manager::tail_region_builder`] returns one.
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
    /// Panics if the manager has a region of this name.
    pub fn build(self) -> TailRegion<K, C> {
        TailRegion(self.region.build())
    }
}
