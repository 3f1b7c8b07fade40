//! The counts of each region in the last hour.

use std::collections::{BTreeMap, VecDeque};

use cache_core::RegionStats;
use serde::Serialize;
use utoipa::ToSchema;

/// The number of steps that are kept: an hour of ten seconds.
const STEPS: usize = 360;

/// The counts of all regions, step by step.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<&'static str, RegionHistory>);

#[derive(Debug, Default)]
struct RegionHistory {
    /// The counts since the region was created.
    last: Counts,
    steps: VecDeque<Counts>,
}

/// Hits, misses, loads and failed loads, in this order.
type Counts = [u64; 4];

/// The history as administrators receive it.
#[derive(Serialize, ToSchema)]
#[schema(as = History)]
pub(crate) struct HistoryFigures {
    /// The length of a step.
    every_seconds: u64,
    /// For each region, its steps, oldest first. A step has hits, misses, loads and failed loads.
    #[schema(value_type = BTreeMap<String, Vec<Vec<u64>>>)]
    regions: BTreeMap<&'static str, Vec<Counts>>,
}

impl History {
    /// Adds a step with the counts since the last one.
    pub(super) fn push(&mut self, regions: &[RegionStats]) {
        for region in regions {
            let stats = &region.stats;
            let now = [stats.hits, stats.misses, stats.loads, stats.load_failures];
            let history = self.0.entry(region.name);
            let is_first = matches!(history, std::collections::btree_map::Entry::Vacant(_));
            let history = history.or_default();
            let last = std::mem::replace(&mut history.last, now);
            if is_first {
                continue;
            }
            if history.steps.len() == STEPS {
                history.steps.pop_front();
            }
            let step = std::array::from_fn(|index| now[index].saturating_sub(last[index]));
            history.steps.push_back(step);
        }
    }

    pub(super) fn figures(&self, every_seconds: u64) -> HistoryFigures {
        let steps = |(name, history): (&&'static str, &RegionHistory)| {
            (*name, history.steps.iter().copied().collect())
        };
        HistoryFigures {
            every_seconds,
            regions: self.0.iter().map(steps).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_core::{Clock, Manager, Policy, Runtime, Unknown};

    use super::*;

    #[test]
    fn a_step_has_the_counts_since_the_last_one_and_an_hour_is_kept() {
        let runtime = Runtime::new(Clock::manual().0, drop);
        let manager = Manager::new(runtime, Unknown::Never);
        let names = manager.region("names", Policy::new(Duration::from_mins(1), 10));
        names.insert(1, "Ada");
        let mut history = History::default();
        history.push(&manager.stats());
        for _ in 0..STEPS + 5 {
            names.get(&1);
            names.get(&2);
            names.get(&1);
            history.push(&manager.stats());
        }
        let steps = &history.figures(10).regions["names"];
        assert_eq!(steps.len(), STEPS);
        assert!(steps.iter().all(|step| *step == [2, 1, 0, 0]), "{steps:?}");
    }
}
