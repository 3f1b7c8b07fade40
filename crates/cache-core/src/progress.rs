//! What is in progress for one key, and its transitions: pure functions that the cache calls under its stripe's lock.

/// The open writes and the load of one key. `L` names a load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress<L> {
    open: u32,
    contended: bool,
    load: Option<L>,
    past: Past<L>,
}

/// Loads past the cache, which readers share as long as they have not been polled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Past<L> {
    running: bool,
    waiting: Option<L>,
}

/// What a reader that found nothing is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask<L> {
    /// Wait for the load that stands.
    Join(L),
    /// Start a load and let it stand.
    Start,
    /// A write is open: load past the cache.
    Past,
}

/// What a reader that loads past the cache is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AskPast<L> {
    /// Wait for the load that nobody has polled yet.
    Join(L),
    /// Put a load in line; someone runs the line already.
    Wait,
    /// Put a load in line and run the line.
    Run,
}

impl<L> Default for Progress<L> {
    fn default() -> Self {
        Self {
            open: 0,
            contended: false,
            load: None,
            past: Past {
                running: false,
                waiting: None,
            },
        }
    }
}

impl<L: Clone> Progress<L> {
    /// A write begins. The load that stood is no longer this key's; the caller removes the value in the same step.
    pub fn open(&mut self, region_open: bool) -> Option<L> {
        self.contended |= self.open > 0 || region_open;
        self.open += 1;
        self.load.take()
    }

    /// A write's outcome is known. Whether it was alone, and so may store the row it wrote.
    pub fn close(&mut self, region_open: bool) -> bool {
        // A region that was open at any time meanwhile has marked this contended.
        let alone = self.open == 1 && !self.contended && !region_open;
        self.open -= 1;
        self.contended &= self.open > 0;
        alone
    }

    /// A bulk invalidation passes: no load stands afterwards, and no open write stores.
    pub fn bulk(&mut self) -> Option<L> {
        self.contended |= self.open > 0;
        self.load.take()
    }

    /// A reader missed. `joinable` says of the load that stands whether this reader may wait for it.
    pub fn ask(&self, region_open: bool, joinable: impl FnOnce(&L) -> bool) -> Ask<L> {
        if self.is_open(region_open) {
            return Ask::Past;
        }
        match &self.load {
            Some(load) if joinable(load) => Ask::Join(load.clone()),
            Some(_) | None => Ask::Start,
        }
    }

    /// `load` stands from now on.
    pub fn start(&mut self, load: L) {
        self.load = Some(load);
    }

    /// A load ended. Whether it still stood, and so may be stored; it stands no longer.
    pub fn end(&mut self, is_it: impl FnOnce(&L) -> bool) -> bool {
        let stood = self.load.as_ref().is_some_and(is_it);
        if stood {
            self.load = None;
        }
        stood
    }

    /// A reader wants to load past the cache.
    pub fn ask_past(&self) -> AskPast<L> {
        match (&self.past.waiting, self.past.running) {
            (Some(load), _) => AskPast::Join(load.clone()),
            (None, true) => AskPast::Wait,
            (None, false) => AskPast::Run,
        }
    }

    /// `load` is next in the line past the cache, which runs from now on if it did not.
    pub fn wait_past(&mut self, load: L) {
        self.past = Past {
            running: true,
            waiting: Some(load),
        };
    }

    /// The line's next load, about to be polled, so that nobody joins it any more; `None` ends the line.
    pub fn next_past(&mut self) -> Option<L> {
        let next = self.past.waiting.take();
        self.past.running = next.is_some();
        next
    }

    /// Whether a write is open here or over the whole region.
    pub fn is_open(&self, region_open: bool) -> bool {
        self.open > 0 || region_open
    }

    /// Open writes on this key.
    pub fn open_writes(&self) -> u32 {
        self.open
    }

    /// The load that stands.
    pub fn load(&self) -> Option<&L> {
        self.load.as_ref()
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.open == 0 && self.load.is_none() && !self.past.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_the_load_out_and_bars_others() {
        let mut key = Progress::default();
        key.start(1);
        assert_eq!(key.open(false), Some(1));
        assert!(!key.end(|l| *l == 1));
        assert_eq!(key.ask(false, |_| true), Ask::Past);
        assert!(key.close(false));
        assert!(key.is_idle());
        assert_eq!(key.ask(false, |_| true), Ask::Start);
    }

    #[test]
    fn only_a_write_that_was_alone_throughout_may_store() {
        let mut key = Progress::<u8>::default();
        key.open(false);
        key.open(false);
        assert!(!key.close(false));
        assert!(!key.close(false));
        key.open(false);
        key.bulk();
        assert!(!key.close(false));
        key.open(true);
        assert!(!key.close(false));
        key.open(false);
        assert!(key.close(false));
    }

    #[test]
    fn a_bulk_invalidation_before_a_write_leaves_it_alone() {
        let mut key = Progress::default();
        key.start(1);
        assert_eq!(key.bulk(), Some(1));
        key.open(false);
        assert!(key.close(false));
    }

    #[test]
    fn a_load_past_the_cache_is_shared_until_it_is_polled() {
        let mut key = Progress::default();
        key.open(false);
        assert_eq!(key.ask_past(), AskPast::Run);
        key.wait_past(1);
        assert_eq!(key.ask_past(), AskPast::Join(1));
        assert_eq!(key.next_past(), Some(1));
        assert_eq!(key.ask_past(), AskPast::Wait);
        key.wait_past(2);
        assert_eq!(key.ask_past(), AskPast::Join(2));
        key.close(false);
        assert!(!key.is_idle());
        assert_eq!(key.next_past(), Some(2));
        assert_eq!(key.next_past(), None);
        assert!(key.is_idle());
    }
}
