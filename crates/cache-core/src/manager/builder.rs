//! The settings of a manager.

use std::{fmt, time::Duration};

#[cfg(feature = "faults")]
use crate::rules::Fault;
use crate::{
    context::{Context, Limits},
    manager::Manager,
    rules::Rules,
    runtime::Runtime,
    write::settle::{SettleFn, Settler},
};

/// The settings of a [`Manager`]. [`Manager::builder`] returns one.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use cache_core::{Clock, Manager, Runtime};
/// let manager = Manager::builder(Runtime::new(Clock::manual().0, drop))
///     .load_timeout(Duration::from_secs(5))
///     .write_timeout(Duration::from_secs(10))
///     .permits(100, 10)
///     .settle(Arc::new(|| Box::pin(async { Ok(()) })))
///     .build();
/// assert!(manager.regions().is_empty());
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    runtime: Runtime,
    limits: Limits,
    settle: Option<SettleFn>,
    #[cfg(feature = "faults")]
    fault: Fault,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Manager {
    /// Returns the default settings. [`Builder`] has an example.
    pub fn builder(runtime: Runtime) -> Builder {
        Builder {
            runtime,
            limits: Limits {
                load_timeout: Duration::from_secs(10),
                write_timeout: Duration::from_secs(30),
                loads: 1_024,
                writes: 256,
            },
            settle: None,
            #[cfg(feature = "faults")]
            fault: Fault::None,
        }
    }
}

impl Builder {
    /// Sets how long a load may take; 10 seconds by default. Waiting for a permit does not count.
    pub fn load_timeout(mut self, load_timeout: Duration) -> Self {
        self.limits.load_timeout = load_timeout;
        self
    }

    /// Sets how long a write may take before its outcome counts as unknown; 30 seconds by default.
    pub fn write_timeout(mut self, write_timeout: Duration) -> Self {
        self.limits.write_timeout = write_timeout;
        self
    }

    /// Sets how many loads and writes may run at a time; 1,024 and 256 by default.
    ///
    /// Further loads and writes wait in an unbounded queue. Set the limits below those of the
    /// source, such as its number of connections. Then requests wait in the cache, where readers of
    /// one key share a load.
    pub fn permits(mut self, loads: usize, writes: usize) -> Self {
        self.limits.loads = loads;
        self.limits.writes = writes;
        self
    }

    /// Sets how writes of unknown outcome are settled.
    ///
    /// Without it, reads of the keys of such a write bypass the cache for good.
    pub fn settle(mut self, settle: SettleFn) -> Self {
        self.settle = Some(settle);
        self
    }

    /// Disables one rule of the protocol, to show that a test detects the fault.
    #[cfg(feature = "faults")]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// Returns a manager without regions.
    pub fn build(self) -> Manager {
        #[cfg(feature = "faults")]
        let rules = Rules::without(self.fault, self.runtime.clone());
        #[cfg(not(feature = "faults"))]
        let rules = Rules;
        let context = Context::new(self.runtime, self.limits, rules);
        Manager::new(Settler::new(context, self.settle))
    }
}
