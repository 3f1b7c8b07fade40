//! The switches of the cache's regions. A region is off because an administrator switched it off,
//! or because the store does not answer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cache_core::Manager;
use serde::Serialize;
use utoipa::ToSchema;

/// The switches. Both reasons are kept apart, so that a store that answers again does not switch on
/// what was switched off by hand.
#[derive(Debug)]
pub(crate) struct RegionSwitches {
    manager: Manager,
    reasons: Mutex<Reasons>,
}

#[derive(Debug, Default)]
struct Reasons {
    is_store_lost: bool,
    by_hand: BTreeMap<String, ByHand>,
}

/// An administrator's switching off of a region.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ByHand {
    pub(crate) since: String,
    pub(crate) user: String,
}

impl RegionSwitches {
    pub(crate) fn new(manager: Manager) -> Self {
        Self {
            manager,
            reasons: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reasons> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches a region off by hand, or on again with `None`. Returns `false` if there is no such
    /// region.
    pub(crate) fn set_by_hand(&self, region: &str, off: Option<ByHand>) -> bool {
        if !self.manager.regions().contains(&region) {
            return false;
        }
        // Held while the region is switched, so that two calls do not cross.
        let mut reasons = self.lock();
        let was_off = reasons.by_hand.contains_key(region);
        match off {
            // Switching empties a region, so one that is on already stays as it is.
            None if !was_off => return true,
            None => drop(reasons.by_hand.remove(region)),
            Some(_) if was_off => return true,
            Some(by_hand) => drop(reasons.by_hand.insert(region.to_owned(), by_hand)),
        }
        self.manager.set_enabled(region, reasons.admits(region));
        true
    }

    /// Switches off all regions if the store is lost. Otherwise switches on those that were not
    /// switched off by hand.
    pub(crate) fn set_store(&self, is_healthy: bool) {
        let mut reasons = self.lock();
        reasons.is_store_lost = !is_healthy;
        for region in self.manager.regions() {
            self.manager.set_enabled(region, reasons.admits(region));
        }
    }

    /// Returns `false` if the store is lost.
    pub(crate) fn is_store_healthy(&self) -> bool {
        !self.lock().is_store_lost
    }

    /// Returns the switching off of a region by hand; `None` if it is not switched off.
    pub(crate) fn by_hand(&self, region: &str) -> Option<ByHand> {
        self.lock().by_hand.get(region).cloned()
    }
}

impl Reasons {
    fn admits(&self, region: &str) -> bool {
        !self.is_store_lost && !self.by_hand.contains_key(region)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_core::{Clock, Policy, Region, Runtime, Unknown};

    use super::*;

    fn region() -> (Manager, Region<u8, u8>) {
        let runtime = Runtime::new(Clock::manual().0, drop);
        let manager = Manager::new(runtime, Unknown::Never);
        let region = manager.region("names", Policy::new(Duration::from_mins(1), 10));
        (manager, region)
    }

    fn admin() -> ByHand {
        ByHand {
            since: "2026-11-30T00:00:00Z".into(),
            user: "admin".into(),
        }
    }

    #[test]
    fn a_region_that_was_switched_off_by_hand_stays_off_when_the_store_is_back() {
        let (manager, region) = region();
        let switches = RegionSwitches::new(manager);
        assert!(switches.set_by_hand("names", Some(admin())));
        switches.set_store(false);
        switches.set_store(true);
        assert!(!region.is_enabled());
        assert!(switches.set_by_hand("names", None));
        assert!(region.is_enabled());
    }

    #[test]
    fn a_region_that_is_switched_on_by_hand_stays_off_while_the_store_is_lost() {
        let (manager, region) = region();
        let switches = RegionSwitches::new(manager);
        switches.set_store(false);
        switches.set_by_hand("names", Some(admin()));
        switches.set_by_hand("names", None);
        assert!(!region.is_enabled());
        switches.set_store(true);
        assert!(region.is_enabled());
    }

    #[test]
    fn switching_on_what_is_on_removes_nothing() {
        let (manager, region) = region();
        let switches = RegionSwitches::new(manager);
        region.insert(1, 1);
        assert!(switches.set_by_hand("names", None));
        assert_eq!(region.get(&1), Some(1));
        assert!(!switches.set_by_hand("nothing", None));
    }
}
