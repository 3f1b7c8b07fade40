//! The time until which a region serves what is in memory.

use crate::{
    clock::Nanos,
    rules::Rules,
    sync::{AtomicU64, Mutex, Ordering},
};

/// The bound on how old values may be beside other processes that write. The regions of a manager
/// share it.
pub(crate) struct Others {
    /// How much older than the source a value may be, less the lag of the clock.
    pub(crate) bound: Nanos,
    /// The time until which values are served, for regions that are created later. It is read and
    /// written under the lock of the manager's regions.
    pub(crate) served_until: AtomicU64,
}

/// The serving time of a region.
///
/// While no other process writes, it is the end of time. Otherwise it is the time of the last
/// renewal plus the bound. After it, only a young value is served: one that was loaded within the
/// bound.
pub(crate) struct Serving {
    /// 0 while the region is off.
    until: AtomicU64,
    inputs: Mutex<Inputs>,
    /// The age up to which a value is young; `None` if no other process writes.
    young: Option<Nanos>,
    rules: Rules,
}

/// The inputs of the serving time. They change together under one lock.
struct Inputs {
    is_on: bool,
    until: Nanos,
}

/// A serving time that a reader sampled before it looked a value up.
#[derive(Clone, Copy)]
pub(crate) struct ServingTime {
    until: Nanos,
    young: Option<Nanos>,
}

impl ServingTime {
    /// Returns the time until which a value is served, if it does not expire before.
    pub(crate) fn of_value(self, loaded_at: Nanos) -> Nanos {
        match self.young {
            Some(young) if self.until > 0 => self.until.max(loaded_at.saturating_add(young)),
            _ => self.until,
        }
    }
}

impl Serving {
    pub(crate) fn new(others: Option<&Others>, rules: Rules) -> Self {
        let (young, until) = match others {
            // Relaxed: see `Others::served_until`.
            Some(others) => (
                Some(others.bound),
                others.served_until.load(Ordering::Relaxed),
            ),
            None => (None, Nanos::MAX),
        };
        let serving = Self {
            until: AtomicU64::new(0),
            inputs: Mutex::new(Inputs { is_on: true, until }),
            young,
            rules,
        };
        serving.publish(&serving.inputs.lock());
        serving
    }

    /// Returns `true` after the serving time: only young values are served, or none.
    #[inline]
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        now >= self.until()
    }

    /// Returns the serving time. Sample it before the value is looked up: a value that a change
    /// elsewhere removes meanwhile must not be judged by the renewal that follows.
    pub(crate) fn sample(&self) -> ServingTime {
        ServingTime {
            until: self.until(),
            young: self.young,
        }
    }

    #[inline]
    fn until(&self) -> Nanos {
        // Acquire: a reader that sees a renewal sees the changes that were reported before it.
        self.until.load(Ordering::Acquire)
    }

    /// Returns `true` if no other process writes.
    pub(crate) fn has_one_writer(&self) -> bool {
        self.young.is_none()
    }

    /// Returns `true` while the region is on.
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: switching off empties the region after it stores the time, and locks every
        // stripe. A later look-up or store sees the time through these locks.
        self.until.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn switch(&self, is_on: bool) {
        let mut inputs = self.inputs.lock();
        inputs.is_on = is_on;
        self.publish(&inputs);
    }

    /// Raises the serving time to at least `until`.
    pub(crate) fn extend(&self, until: Nanos) {
        let mut inputs = self.inputs.lock();
        inputs.until = inputs.until.max(until);
        self.publish(&inputs);
    }

    fn publish(&self, inputs: &Inputs) {
        let until = if inputs.is_on {
            // At least 1, as 0 means off.
            self.rules.served_until(inputs.until).max(1)
        } else {
            0
        };
        // SeqCst: a load that ends after the region was switched off must see it.
        self.until.store(until, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::rules;

    fn beside_others() -> Serving {
        let others = Others {
            bound: 10,
            served_until: AtomicU64::new(100),
        };
        Serving::new(Some(&others), rules())
    }

    #[test]
    fn a_region_that_is_alone_serves_until_it_is_switched_off() {
        let serving = Serving::new(None, rules());
        assert_eq!(
            (serving.is_over(7), serving.sample().of_value(7)),
            (false, Nanos::MAX)
        );
        serving.switch(false);
        assert_eq!(
            (serving.is_over(7), serving.sample().of_value(7)),
            (true, 0)
        );
        serving.switch(true);
        assert_eq!((serving.is_over(7), serving.is_on()), (false, true));
    }

    #[test]
    fn beside_others_each_renewal_postpones_the_end() {
        let serving = beside_others();
        assert_eq!((serving.is_over(99), serving.is_over(100)), (false, true));
        serving.extend(200);
        serving.extend(150);
        assert_eq!((serving.is_over(199), serving.is_over(200)), (false, true));
    }

    #[test]
    fn a_young_value_is_served_after_the_end() {
        let serving = beside_others();
        assert_eq!(
            [50, 95, 300].map(|at| serving.sample().of_value(at)),
            [100, 105, 310]
        );
        serving.switch(false);
        assert_eq!(serving.sample().of_value(300), 0);
    }

    #[test]
    fn a_region_that_is_off_is_renewed_and_serves_when_it_is_on() {
        let serving = beside_others();
        serving.switch(false);
        serving.extend(200);
        assert!(!serving.is_on());
        serving.switch(true);
        assert!(!serving.is_over(150));
    }
}
