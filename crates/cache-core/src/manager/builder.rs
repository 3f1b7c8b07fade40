//! The settings of a manager.

use std::{fmt, time::Duration};

#[cfg(feature = "faults")]
use crate::rules::Fault;
use crate::{
    context::{Admissions, Context, Limits},
    manager::Manager,
    rules::Rules,
    runtime::Runtime,
    write::settle::{Settler, Unknown},
};

/// The settings of a [`Manager`]. [`Manager::builder`] returns one.
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Clock, Manager, Runtime, Unknown};
/// let statement_timeout = Duration::from_secs(60);
/// let runtime = Runtime::new(Clock::manual().0, drop);
/// let manager = Manager::builder(runtime, Unknown::After(statement_timeout))
///     .load_timeout(Duration::from_secs(5))
///     .write_timeout(Duration::from_secs(10))
///     .permits(100, 10)
///     .queues(1_000, 100)
///     .build();
/// assert!(manager.regions().is_empty());
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    runtime: Runtime,
    limits: Limits,
    unknown: Unknown,
    others_write: Option<Duration>,
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
    /// Returns a manager with the default settings. `unknown` says what is known about writes of
    /// unknown outcome.
    ///
    /// ```
    /// # use cache_core::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// assert!(manager.regions().is_empty());
    /// # }
    /// ```
    pub fn new(runtime: Runtime, unknown: Unknown) -> Self {
        Self::builder(runtime, unknown).build()
    }

    /// Returns the default settings. [`Builder`] has an example.
    pub fn builder(runtime: Runtime, unknown: Unknown) -> Builder {
        Builder {
            runtime,
            limits: Limits {
                load_timeout: Duration::from_secs(10),
                write_timeout: Duration::from_secs(30),
                loads: Admissions {
                    permits: 1_024,
                    queue: 8 * 1_024,
                },
                writes: Admissions {
                    permits: 256,
                    queue: 8 * 256,
                },
            },
            unknown,
            others_write: None,
            #[cfg(feature = "faults")]
            fault: Fault::None,
        }
    }
}

impl Builder {
    /// Sets how long a load may take, including the wait for a permit; 10 seconds by default.
    pub fn load_timeout(mut self, load_timeout: Duration) -> Self {
        self.limits.load_timeout = load_timeout;
        self
    }

    /// Sets how long a write may take, including the wait for a permit; 30 seconds by default. The
    /// outcome of a write that has begun and takes longer counts as unknown.
    pub fn write_timeout(mut self, write_timeout: Duration) -> Self {
        self.limits.write_timeout = write_timeout;
        self
    }

    /// Sets how many loads and writes may run at a time; 1,024 and 256 by default.
    ///
    /// Further loads and writes wait in a queue, which [`Builder::queues`] bounds. Set the limits
    /// below those of the source, such as its number of connections. Then requests wait in the
    /// cache, where readers of one key share a load.
    ///
    /// # Panics
    ///
    /// Panics if `loads` or `writes` is 0, because no load or no write could ever run.
    pub fn permits(mut self, loads: usize, writes: usize) -> Self {
        assert!(loads > 0 && writes > 0, "a manager needs permits");
        self.limits.loads.permits = loads;
        self.limits.writes.permits = writes;
        self
    }

    /// Sets how many loads and writes may wait for a permit; 8,192 and 2,048 by default. Others get
    /// an error at once, [`LoadError::Overloaded`] or [`WriteError::Overloaded`].
    ///
    /// [`LoadError::Overloaded`]: crate::LoadError::Overloaded
    /// [`WriteError::Overloaded`]: crate::WriteError::Overloaded
    pub fn queues(mut self, loads: usize, writes: usize) -> Self {
        self.limits.loads.queue = loads;
        self.limits.writes.queue = writes;
        self
    }

    /// States that other processes write to the source, too. A read may return a value that is
    /// older than their writes by at most `bound`. By default, no other process writes.
    ///
    /// The caller regularly reads the changes of the others from the source. It reports each one by
    /// [`Region::changed_elsewhere`], [`Region::created_elsewhere`] or
    /// [`TailRegion::appended_elsewhere`], and then calls [`Manager::renew`]. Without a renewal, a
    /// value is served only while its own load is younger than `bound`.
    ///
    /// Per key, no reader of this process reads an older value after a newer one. A read that
    /// begins after a write of this process was acknowledged reads that write. To ensure this, a
    /// read that does not store its value removes the one in memory, and [`Manager::upsert`] reads
    /// the source.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_core::{Clock, Manager, Policy, Runtime, Unknown};
    /// let (clock, hand) = Clock::manual();
    /// let bound = Duration::from_secs(1);
    /// let manager = Manager::builder(Runtime::new(clock, drop), Unknown::Never)
    ///     .others_write(bound)
    ///     .build();
    /// let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// hand.advance(Duration::from_millis(900));
    ///
    /// let sampled_at = manager.clock().now();
    /// // Here the caller reads the changes from the source, and reports them.
    /// manager.renew(sampled_at);
    /// hand.advance(Duration::from_millis(900));
    /// assert_eq!(names.get(&7), Some("Ada"));
    /// hand.advance(Duration::from_millis(100));
    /// assert_eq!(names.get(&7), None);
    /// ```
    ///
    /// [`Region::changed_elsewhere`]: crate::Region::changed_elsewhere
    /// [`Region::created_elsewhere`]: crate::Region::created_elsewhere
    /// [`TailRegion::appended_elsewhere`]: crate::TailRegion::appended_elsewhere
    pub fn others_write(mut self, bound: Duration) -> Self {
        self.others_write = Some(bound);
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
        let context = Context::new(self.runtime, self.limits, self.others_write, rules);
        Manager::with_settler(Settler::new(context, self.unknown))
    }
}
