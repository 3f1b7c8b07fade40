//! The work in progress for one key: its open writes, its registered load and its bypass queue.

/// The open writes, the load and the bypass queue of one key. `L` identifies a load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress<L> {
    open: u32,
    /// Another write, or a bulk invalidation, overlapped the writes that are open now.
    contended: bool,
    /// The registered load: readers join it, and its result is stored.
    load: Option<L>,
    bypass: BypassQueue<L>,
}

/// Loads that bypass the cache, one at a time. Readers share the queued one until it is polled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BypassQueue<L> {
    running: bool,
    queued: Option<L>,
}

/// The decision for a reader that missed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask<L> {
    /// Wait for the registered load.
    Join(L),
    /// Start a load and register it.
    Start,
    /// A write is open: load without storing.
    Bypass,
}

/// The decision for a reader that bypasses the cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AskBypass<L> {
    /// Wait for the queued load, which has not been polled yet.
    Join(L),
    /// Queue a load. A task runs the queue already.
    Queue,
    /// Queue a load and start a task that runs the queue.
    Run,
}

impl<L> Default for Progress<L> {
    fn default() -> Self {
        Self {
            open: 0,
            contended: false,
            load: None,
            bypass: BypassQueue {
                running: false,
                queued: None,
            },
        }
    }
}

impl<L: Clone> Progress<L> {
    /// Records that a write begins, and returns the load that it unregisters. The caller removes
    /// the key's value in the same step.
    pub fn open(&mut self, region_open: bool) -> Option<L> {
        self.contended |= self.open > 0 || region_open;
        self.open += 1;
        self.load.take()
    }

    /// Records that a write's outcome is known. Returns `true` if no other write overlapped it, so
    /// that it may store the row that it returned.
    pub fn close(&mut self, region_open: bool) -> bool {
        // A region guard that opened meanwhile has marked the key contended, even if it has closed.
        let alone = self.open == 1 && !self.contended && !region_open;
        self.open -= 1;
        self.contended &= self.open > 0;
        alone
    }

    /// Records an invalidation by hand, and returns the load that it unregisters. Open writes will
    /// not store their rows.
    pub fn invalidate(&mut self) -> Option<L> {
        self.contended |= self.open > 0;
        self.load.take()
    }

    /// Decides for a reader that missed. `joinable` returns `true` if the reader may wait for the
    /// registered load.
    pub fn ask(&self, region_open: bool, joinable: impl FnOnce(&L) -> bool) -> Ask<L> {
        if self.is_open(region_open) {
            return Ask::Bypass;
        }
        match &self.load {
            Some(load) if joinable(load) => Ask::Join(load.clone()),
            Some(_) | None => Ask::Start,
        }
    }

    /// Registers a load. A load that was registered before is stored no longer.
    pub fn register(&mut self, load: L) {
        self.load = Some(load);
    }

    /// Unregisters a load that ended. Returns `true` if it was still registered, so that its result
    /// may be stored.
    pub fn unregister(&mut self, is_it: impl FnOnce(&L) -> bool) -> bool {
        self.load.take_if(|load| is_it(load)).is_some()
    }

    /// Decides for a reader that bypasses the cache.
    pub fn ask_bypass(&self) -> AskBypass<L> {
        match (&self.bypass.queued, self.bypass.running) {
            (Some(load), _) => AskBypass::Join(load.clone()),
            (None, true) => AskBypass::Queue,
            (None, false) => AskBypass::Run,
        }
    }

    /// Queues a load that bypasses the cache. The queue counts as running from now on.
    pub fn queue_bypass(&mut self, load: L) {
        self.bypass = BypassQueue {
            running: true,
            queued: Some(load),
        };
    }

    /// Takes the queued load, which is about to be polled and can be joined no longer. `None` ends
    /// the run of the queue.
    pub fn next_bypass(&mut self) -> Option<L> {
        let next = self.bypass.queued.take();
        self.bypass.running = next.is_some();
        next
    }

    /// Returns `true` while a write is open, on this key or on its whole region.
    pub fn is_open(&self, region_open: bool) -> bool {
        self.open > 0 || region_open
    }

    /// Returns the number of open writes on this key.
    #[cfg(feature = "internals")]
    pub fn open_writes(&self) -> u32 {
        self.open
    }

    /// Returns the registered load.
    pub fn load(&self) -> Option<&L> {
        self.load.as_ref()
    }

    /// Returns `true` if nothing is in progress, so that the key may be forgotten.
    pub fn is_idle(&self) -> bool {
        self.open == 0 && self.load.is_none() && !self.bypass.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_unregisters_the_load_and_bars_others() {
        let mut key = Progress::default();
        key.register(1);
        assert_eq!(key.open(false), Some(1));
        assert!(!key.unregister(|load| *load == 1));
        assert_eq!(key.ask(false, |_| true), Ask::Bypass);
        assert!(key.close(false));
        assert!(key.is_idle());
        assert_eq!(key.ask(false, |_| true), Ask::Start);
    }

    #[test]
    fn only_a_write_that_no_other_overlapped_may_store() {
        let mut key = Progress::<u8>::default();
        key.open(false);
        key.open(false);
        assert!(!key.close(false));
        assert!(!key.close(false));
        key.open(false);
        key.invalidate();
        assert!(!key.close(false));
        key.open(true);
        assert!(!key.close(false));
        key.open(false);
        assert!(key.close(false));
    }

    #[test]
    fn an_invalidation_before_a_write_does_not_contend_with_it() {
        let mut key = Progress::default();
        key.register(1);
        assert_eq!(key.invalidate(), Some(1));
        key.open(false);
        assert!(key.close(false));
    }

    #[test]
    fn a_bypassing_load_is_shared_until_it_is_polled() {
        let mut key = Progress::default();
        key.open(false);
        assert_eq!(key.ask_bypass(), AskBypass::Run);
        key.queue_bypass(1);
        assert_eq!(key.ask_bypass(), AskBypass::Join(1));
        assert_eq!(key.next_bypass(), Some(1));
        assert_eq!(key.ask_bypass(), AskBypass::Queue);
        key.queue_bypass(2);
        assert_eq!(key.ask_bypass(), AskBypass::Join(2));
        key.close(false);
        assert!(!key.is_idle());
        assert_eq!(key.next_bypass(), Some(2));
        assert_eq!(key.next_bypass(), None);
        assert!(key.is_idle());
    }
}
