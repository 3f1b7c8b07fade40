//! A check that the state of a region is consistent, for tests, while nothing runs.

use super::{policy::Key, state::RegionState, timed::Slot};

/// A description of something in a region that contradicts the rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistency(String);

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the first inconsistency, if there is one.
    pub(super) fn validate(&self) -> Result<(), Inconsistency> {
        self.validate_progress()
            .and_then(|()| self.validate_store())
            .map_err(|wrong| Inconsistency(format!("region {}: {wrong}", self.name)))
    }

    fn validate_progress(&self) -> Result<(), String> {
        let (mut open, mut wide) = (0, None);
        for (index, stripe) in self.stripes.iter().enumerate() {
            let stripe = stripe.lock();
            let open_here = stripe.wide.len();
            if *wide.get_or_insert(open_here) != open_here {
                return Err(format!(
                    "{open_here} wide windows are open in stripe {index}, {wide:?} in the first"
                ));
            }
            for (key, progress) in &stripe.keys {
                let printed = self.printed(key);
                if self.striping.index(key) != index {
                    return Err(format!(
                        "key {printed} is in stripe {index}, which is not its own"
                    ));
                }
                if progress.is_idle() {
                    return Err(format!(
                        "key {printed} is kept although nothing is in progress"
                    ));
                }
                if progress.is_open(stripe.is_covered(key)) && progress.load().is_some() {
                    return Err(format!(
                        "key {printed} has an open write and a registered load"
                    ));
                }
                open += u64::from(progress.open_writes());
            }
        }
        let windows = open + (wide.unwrap_or(0) + self.tags.open_writes()) as u64;
        let stats = self.stats();
        if stats.open_windows != windows {
            return Err(format!(
                "{} windows are counted as open, but {windows} are",
                stats.open_windows
            ));
        }
        if stats.unknown_windows > stats.open_windows {
            return Err(format!(
                "{} windows are unknown, but {} are open",
                stats.unknown_windows, stats.open_windows
            ));
        }
        Ok(())
    }

    fn validate_store(&self) -> Result<(), String> {
        let stats = self.stats();
        let (mut weight, mut entries, mut tags) = (0, 0, 0);
        for key in self.store.keys(|_| true) {
            let printed = self.printed(&key);
            let Some(Slot { times, extra, .. }) = self.store.peek(&key) else {
                return Err(format!("key {printed} is listed and has no value"));
            };
            tags += extra.map_or(0, |extra| extra.tags.len());
            if times.expires_at < times.loaded_at {
                return Err(format!("key {printed} expired before it was loaded"));
            }
            if self.store.absent(&key).is_some() {
                return Err(format!("key {printed} has both a value and an absence"));
            }
            weight += u64::from(times.weight);
            entries += 1;
        }
        if tags != self.tags.len() {
            return Err(format!(
                "entries carry {tags} tags, but {} are indexed",
                self.tags.len()
            ));
        }
        entries += self.store.absences().count() as u64;
        if (weight, entries) != (stats.weight, stats.size) {
            return Err(format!(
                "{entries} entries weigh {weight}, but {} are counted with a weight of {}",
                stats.size, stats.weight
            ));
        }
        Ok(())
    }

    /// Returns `true` if no write is open and no load is in progress.
    pub(super) fn is_quiet(&self) -> bool {
        !self.creates().is_open()
            && self.stripes.iter().all(|stripe| {
                let stripe = stripe.lock();
                stripe.keys.is_empty() && stripe.wide.is_empty()
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        Clock, Manager, Policy, Region, Runtime, Unknown,
        protocol::progress::Progress,
        region::{flight::Flight, stripe::WideWindow},
    };

    #[test]
    fn each_inconsistency_is_reported() {
        let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
        let numbers: Region<u64, u64> =
            manager.region("numbers", Policy::new(Duration::from_mins(1), 10));
        numbers.insert(7, 7);
        assert_eq!((manager.validate(), manager.is_quiet()), (Ok(()), true));
        let reports = |what: &str| {
            let wrong = manager.validate().unwrap_err().to_string();
            assert!(wrong.contains("numbers") && wrong.contains(what), "{wrong}");
        };
        numbers.state.stripe(&7).keys.insert(7, Progress::default());
        reports("nothing is in progress");
        let mut open = Progress::default();
        open.open(false);
        numbers.state.stripe(&7).keys.insert(7, open);
        assert!(!manager.is_quiet());
        reports("windows are counted");
        numbers.state.counters.open_windows.add(1);
        assert_eq!(manager.validate(), Ok(()));
        let mut loading = Progress::default();
        loading.open(false);
        loading.register(Flight::unregistered());
        numbers.state.stripe(&7).keys.insert(7, loading);
        reports("an open write and a registered load");
        let mut registered = Progress::default();
        registered.register(Flight::unregistered());
        numbers.state.stripe(&7).keys.insert(7, registered);
        numbers.state.counters.open_windows.subtract(1);
        assert_eq!(
            manager.validate(),
            Ok(()),
            "a load is registered, and no write is open"
        );
        let window = WideWindow::whole();
        numbers
            .state
            .stripes
            .iter()
            .for_each(|stripe| stripe.lock().open_wide(&window));
        numbers.state.counters.open_windows.add(1);
        reports("an open write and a registered load");
        numbers.state.stripe(&7).keys.clear();
        assert_eq!(
            manager.validate(),
            Ok(()),
            "a write over the region is open, and no load is registered"
        );
        assert!(!manager.is_quiet());
        numbers.state.stripe(&7).close_wide(&window);
        reports("in the first");
    }
}
