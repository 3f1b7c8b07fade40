//! Whether a region's inner state adds up, for tests to ask when nothing runs.

use crate::{inner::Inner, region::Key, store::Timed};

impl<K: Key, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// The first thing that does not add up.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let wrong = |what: String| Err(format!("region {}: {what}", self.name));
        let (mut open, mut region_open) = (0, None);
        for (at, stripe) in self.stripes.iter().enumerate() {
            let stripe = stripe.lock();
            if *region_open.get_or_insert(stripe.region_open) != stripe.region_open {
                return wrong(format!(
                    "the region is open {} times in stripe {at} and {region_open:?} in the first",
                    stripe.region_open
                ));
            }
            for (key, progress) in &stripe.keys {
                if self.place(key) != at {
                    return wrong(format!(
                        "{key} is in progress in stripe {at}, which is not its own"
                    ));
                }
                if progress.is_idle() {
                    return wrong(format!("{key} is kept in progress, and nothing is"));
                }
                if progress.is_open(stripe.region_open > 0) && progress.load().is_some() {
                    return wrong(format!("{key} has an open write and a load that stands"));
                }
                open += u64::from(progress.open_writes());
            }
        }
        let windows = open + u64::from(region_open.unwrap_or(0));
        let stats = self.stats();
        if stats.open_windows != windows {
            return wrong(format!(
                "{} windows are counted as open, and {windows} are",
                stats.open_windows
            ));
        }
        if stats.unknown_windows > stats.open_windows {
            return wrong(format!(
                "{} windows are unknown, of {} that are open",
                stats.unknown_windows, stats.open_windows
            ));
        }
        if stats.load_failures > stats.loads {
            return wrong(format!(
                "{} loads failed, of {}",
                stats.load_failures, stats.loads
            ));
        }
        let (mut weight, mut entries) = (0, 0);
        for Timed { key, times } in self.store.values() {
            if times.until < times.at {
                return wrong(format!("{key} expired before it was read"));
            }
            if self.store.absent(&key).is_some() {
                return wrong(format!("{key} has a value and is absent"));
            }
            weight += u64::from(times.weight);
            entries += 1;
        }
        entries += self.store.absences().count() as u64;
        if (weight, entries) != (stats.weight, stats.size) {
            return wrong(format!(
                "{entries} entries weigh {weight}, and {} are said to weigh {}",
                stats.size, stats.weight
            ));
        }
        Ok(())
    }

    /// Whether nothing is in progress.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.creates().is_open()
            && self.stripes.iter().all(|stripe| {
                let stripe = stripe.lock();
                stripe.keys.is_empty() && stripe.region_open == 0
            })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Clock, Manager, Policy, Region, Runtime, progress::Progress};

    #[test]
    fn what_does_not_add_up_is_told() {
        let manager = Manager::builder(Runtime::new(Clock::manual().0, |_| {})).build();
        let numbers: Region<u64, u64> =
            manager.region("numbers", Policy::new(Duration::from_mins(1), 10));
        numbers.insert(7, 7);
        assert_eq!((manager.validate(), manager.is_quiet()), (Ok(()), true));
        let told = |what: &str| {
            let wrong = manager.validate().unwrap_err();
            assert!(wrong.contains("numbers") && wrong.contains(what), "{wrong}");
        };
        numbers.0.stripe(&7).keys.insert(7, Progress::default());
        told("nothing is");
        let mut open = Progress::default();
        open.open(false);
        numbers.0.stripe(&7).keys.insert(7, open);
        assert!(!manager.is_quiet());
        told("windows are counted");
        numbers.0.counters.open_windows.add(1);
        assert_eq!(manager.validate(), Ok(()));
        let mut loading = Progress::default();
        loading.open(false);
        loading.start(crate::flight::Flight::new(0, None, None));
        numbers.0.stripe(&7).keys.insert(7, loading);
        told("a load that stands");
        let mut standing = Progress::default();
        standing.start(crate::flight::Flight::new(0, None, None));
        numbers.0.stripe(&7).keys.insert(7, standing);
        numbers.0.counters.open_windows.less(1);
        assert_eq!(
            manager.validate(),
            Ok(()),
            "a load stands, and no write is open"
        );
        numbers
            .0
            .stripes
            .iter()
            .for_each(|stripe| stripe.lock().region_open += 1);
        numbers.0.counters.open_windows.add(1);
        told("a load that stands");
        numbers.0.stripe(&7).keys.clear();
        assert_eq!(
            manager.validate(),
            Ok(()),
            "a write over the region is open, and no load stands"
        );
        assert!(!manager.is_quiet());
        numbers.0.stripe(&7).region_open -= 1;
        told("in the first");
    }
}
