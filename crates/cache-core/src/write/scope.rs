//! Windows of one guard over keys of one region.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::window::{Outcome, Scope};
use crate::{
    clock::Nanos,
    region::{
        entry::Entry,
        install::Storing,
        policy::Key,
        removal::Removal,
        state::RegionState,
        stripe::{Covers, WideWindow},
    },
    sync::{Arc, HashMap, Mutex},
};

/// The windows of one guard over keys of one region, or over the whole region.
pub(crate) struct RegionScope<K, V> {
    region: Arc<RegionState<K, V>>,
    keys: HashMap<K, KeyWindow<V>>,
    wide: Vec<WideScope<K>>,
    tags: Vec<TagWindow>,
    /// The time at which the windows opened, from which the TTL of the rows counts.
    opened_at: Nanos,
    /// The number of invalidations of tags at that time.
    tags_since: u64,
    create: State,
    unknown: bool,
}

/// The window over one key.
struct KeyWindow<V> {
    state: State,
    /// Takes the value that is in memory when the window opens.
    taken: Option<Taken<V>>,
    /// The row that the write returned.
    row: Option<Entry<V>>,
}

/// The place of a value that was in memory when its window opened.
pub(super) type Taken<V> = Arc<Mutex<Option<V>>>;

/// The window over the entries that carry a tag.
struct TagWindow {
    tag: Arc<str>,
    state: State,
}

/// The window over a whole region, or over the keys that a function recognizes.
struct WideScope<K> {
    window: WideWindow<K>,
    /// In how many stripes it has been opened: the first ones.
    stripes: usize,
    state: State,
}

/// The state of a window. It is kept so that a panic in user code neither leaves a window open nor
/// closes one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The guard has no such window.
    Unused,
    /// It is to be opened.
    Wanted,
    Open,
    Closed,
}

/// The circumstances in which the windows of one scope close.
#[derive(Clone, Copy)]
struct Closing {
    outcome: Outcome,
    /// The time at which the windows opened.
    opened_at: Nanos,
    /// The number of invalidations of tags at that time.
    tags_since: u64,
    /// The windows were counted as unknown.
    unknown: bool,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionScope<K, V> {
    pub(crate) fn new(region: Arc<RegionState<K, V>>) -> Self {
        Self {
            region,
            keys: HashMap::default(),
            wide: Vec::new(),
            tags: Vec::new(),
            opened_at: 0,
            tags_since: 0,
            create: State::Unused,
            unknown: false,
        }
    }

    pub(crate) fn is_of(&self, region: &Arc<RegionState<K, V>>) -> bool {
        Arc::ptr_eq(&self.region, region)
    }

    /// Adds a key. Adding it again has no effect: a write must not contend with itself.
    pub(crate) fn add_key(&mut self, key: K) {
        self.keys.entry(key).or_insert(KeyWindow {
            state: State::Wanted,
            taken: None,
            row: None,
        });
    }

    /// Adds a key whose value in memory the write takes.
    pub(super) fn add_key_taking(&mut self, key: K, taken: Taken<V>) {
        self.add_key(key.clone());
        if let Some(window) = self.keys.get_mut(&key) {
            window.taken = Some(taken);
        }
    }

    pub(crate) fn add_whole_region(&mut self) {
        if !self.wide.iter().any(|wide| wide.window.is_whole()) {
            self.add_wide(WideWindow::whole());
        }
    }

    pub(crate) fn add_keys_where(&mut self, covers: Covers<K>) {
        self.add_wide(WideWindow::over(covers));
    }

    fn add_wide(&mut self, window: WideWindow<K>) {
        self.wide.push(WideScope {
            window,
            stripes: 0,
            state: State::Wanted,
        });
    }

    pub(crate) fn add_tag(&mut self, tag: Arc<str>) {
        let state = State::Wanted;
        self.tags.push(TagWindow { tag, state });
    }

    pub(crate) fn add_create(&mut self) {
        self.create = State::Wanted;
    }

    /// Adds the row that the write returned for a key. It is stored when the window closes.
    pub(crate) fn put(&mut self, key: K, row: Entry<V>) {
        if let Some(window) = self.keys.get_mut(&key) {
            window.row = Some(row);
        }
    }

    /// Returns the number of open windows, as the statistics count them.
    pub(super) fn open_windows(&self) -> usize {
        let keys = self.keys.values().map(|window| window.state);
        let wide = self.wide.iter().map(|wide| wide.state);
        let tags = self.tags.iter().map(|window| window.state);
        keys.chain(wide)
            .chain(tags)
            .filter(|state| *state == State::Open)
            .count()
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Opens the window of one key. Returns `true` if it removed a value or an absence.
    fn open_window(&self, key: &K, window: &mut KeyWindow<V>) -> bool {
        let mut stripe = self.stripe(key);
        let region_open = stripe.is_covered(key);
        // Before the window counts as open: if user code panics, it is opened once more.
        let removed = self.rules().before_write(|| self.store.remove(key));
        let progress = stripe.keys.entry(key.clone()).or_default();
        let load = progress.open(region_open);
        window.state = State::Open;
        self.counters.open_windows.one();
        self.rules().unregistered(progress, load.clone());
        drop(stripe);
        // Both are dropped after the lock is released: dropping a value runs user code.
        drop(load);
        removed.is_some_and(|removed| {
            let any = removed.any();
            // Beside other processes, the value may be older than the source.
            if let (Some(taken), Some((entry, value))) = (&window.taken, removed.values.first())
                && self.serving.has_one_writer()
                && self.clock.now() < entry.ends_at(self.idle)
            {
                *taken.lock() = Some(value.clone());
            }
            self.finish_removal(removed.values, Removal::Written);
            any
        })
    }

    /// Closes the window of one key. Stores the row that was added for the key if the write
    /// committed, no other write of the key overlapped it, and the region is on.
    fn close_window(&self, key: &K, window: &mut KeyWindow<V>, closing: Closing) {
        // Before the lock is taken, because weighing calls user code.
        let row = window.row.take().map(|row| {
            let storing = Storing {
                weight: self.weigh(key, &row.value),
                loaded_at: closing.opened_at,
                terms: row.terms,
                tags_since: closing.tags_since,
            };
            (key.clone(), row.value, storing)
        });
        let mut stripe = self.stripe(key);
        let region_open = stripe.is_covered(key);
        let alone = stripe
            .keys
            .get_mut(key)
            .is_some_and(|progress| progress.close(region_open));
        self.mark_closed(&mut window.state, closing);
        stripe.forget_idle(key);
        self.rules().after_write(|| drop(self.store.remove(key)));
        let may_store = closing.outcome == Outcome::Committed
            && self.rules().only_alone(alone)
            && self.is_enabled();
        let put = row
            .filter(|_| may_store)
            .map(|(key, row, storing)| self.put(key, row, storing));
        drop(stripe);
        self.counters.contended_closes.add(usize::from(!alone));
        self.listeners.notify(key);
        if let Some(put) = put {
            self.count_put(put);
        }
    }

    /// Opens a window over many keys, and removes their values.
    fn open_wide(&self, wide: &mut WideScope<K>) {
        wide.state = State::Open;
        self.counters.open_windows.one();
        // Stripe by stripe, and never two at once: no other order of locks is needed.
        for stripe in &self.stripes {
            let mut unregistered = Vec::new();
            let mut stripe = stripe.lock();
            stripe.open_wide(&wide.window);
            wide.stripes += 1;
            for (key, progress) in &mut stripe.keys {
                if wide.window.covers(key) {
                    let load = progress.invalidate();
                    self.rules().unregistered(progress, load.clone());
                    unregistered.extend(load);
                }
            }
            stripe.forget_all_idle();
        }
        // After all stripes are open: a value stored before then is found and removed here.
        self.remove_where(|key| wide.window.covers(key), Removal::Written);
    }

    /// Opens a window over the entries that carry a tag, and removes them. Returns their number.
    fn open_tag(&self, window: &mut TagWindow) -> usize {
        let keys = self.tags.open(&window.tag);
        window.state = State::Open;
        self.counters.open_windows.one();
        self.remove_tagged(keys, &window.tag, Removal::Written)
    }

    fn close_tag(&self, window: &mut TagWindow, closing: Closing) {
        self.tags.close(&window.tag);
        self.mark_closed(&mut window.state, closing);
        self.listeners.notify_all();
    }

    fn close_wide(&self, wide: &mut WideScope<K>, closing: Closing) {
        while let Some(last) = wide.stripes.checked_sub(1) {
            self.stripes[last].lock().close_wide(&wide.window);
            wide.stripes = last;
        }
        self.mark_closed(&mut wide.state, closing);
        self.listeners.notify_all();
    }

    fn mark_closed(&self, state: &mut State, closing: Closing) {
        *state = State::Closed;
        self.counters.open_windows.subtract(1);
        if closing.unknown {
            self.counters.unknown_windows.subtract(1);
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Scope for RegionScope<K, V> {
    fn open(&mut self) {
        let region = &*self.region;
        // Before the write: a row is as old as its commit, which comes later.
        self.opened_at = region.clock.now();
        self.tags_since = region.tags.count();
        if self.create == State::Wanted {
            region.begin_create();
            self.create = State::Open;
            region.counters.open_creates.one();
        }
        for wide in &mut self.wide {
            if wide.state == State::Wanted {
                region.open_wide(wide);
            }
        }
        let mut removed = 0;
        for window in &mut self.tags {
            if window.state == State::Wanted {
                removed += region.open_tag(window);
            }
        }
        for (key, window) in &mut self.keys {
            if window.state == State::Wanted {
                removed += usize::from(region.open_window(key, window));
            }
        }
        region.counters.invalidations.add(removed);
        tracing::debug!(
            target: "cache",
            region = region.name,
            windows = self.open_windows(),
            removed,
            "invalidation"
        );
    }

    fn close(&mut self, outcome: Outcome) {
        let region = &*self.region;
        let counters = &region.counters;
        let closing = Closing {
            outcome,
            opened_at: self.opened_at,
            tags_since: self.tags_since,
            unknown: self.unknown,
        };
        // If user code panics at one window, the others are closed all the same.
        let mut panicked = None;
        for (key, window) in &mut self.keys {
            if window.state == State::Open {
                let close = AssertUnwindSafe(|| region.close_window(key, window, closing));
                panicked = catch_unwind(close).err().or(panicked);
            }
        }
        for wide in &mut self.wide {
            if wide.state == State::Open {
                let close = AssertUnwindSafe(|| region.close_wide(wide, closing));
                panicked = catch_unwind(close).err().or(panicked);
            }
        }
        for window in &mut self.tags {
            if window.state == State::Open {
                let close = AssertUnwindSafe(|| region.close_tag(window, closing));
                panicked = catch_unwind(close).err().or(panicked);
            }
        }
        if self.create == State::Open {
            region.end_create();
            self.create = State::Closed;
            counters.open_creates.subtract(1);
            counters.unknown_creates.subtract(usize::from(self.unknown));
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    fn mark_unknown(&mut self) {
        let windows = self.open_windows();
        let creates = usize::from(self.create == State::Open);
        let counters = &self.region.counters;
        if !self.unknown {
            counters.unknown_windows.add(windows);
            counters.unknown_creates.add(creates);
            self.unknown = true;
        }
        tracing::debug!(
            target: "cache",
            region = self.region.name,
            windows,
            creates,
            "unknown windows"
        );
    }

    fn is_log(&self) -> bool {
        false
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
