//! Statistics of a region. A hit costs a load and a store in a cell that only its thread writes.

use crate::sync::plain::{AtomicU64, Mutex, Ordering};

/// What a region has counted since it was made. `hit_rate` is in percent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "each is the counter of the same name, described in the table of the crate's front page"
)]
pub struct Stats {
    pub hits: u64,
    pub misses: u64,
    pub loads: u64,
    pub joins: u64,
    pub past_loads: u64,
    pub bypasses: u64,
    pub load_failures: u64,
    pub refused_stores: u64,
    pub stale_served: u64,
    pub invalidations: u64,
    pub contended_closes: u64,
    pub evicted_by_capacity: u64,
    pub evicted_by_expiry: u64,
    pub open_windows: u64,
    pub unknown_windows: u64,
    pub size: u64,
    pub weight: u64,
}

impl Stats {
    /// Hits and misses; a bypass is neither.
    pub fn total_requests(&self) -> u64 {
        self.hits + self.misses
    }

    /// Hits per request in percent with two decimals; 0 when nothing was asked.
    #[expect(clippy::cast_precision_loss, reason = "two decimals of a percentage")]
    pub fn hit_rate(&self) -> f64 {
        match self.total_requests() {
            0 => 0.0,
            total => (self.hits as f64 / total as f64 * 10_000.0).round() / 100.0,
        }
    }

    /// Adds another region's.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.loads += other.loads;
        self.joins += other.joins;
        self.past_loads += other.past_loads;
        self.bypasses += other.bypasses;
        self.load_failures += other.load_failures;
        self.refused_stores += other.refused_stores;
        self.stale_served += other.stale_served;
        self.invalidations += other.invalidations;
        self.contended_closes += other.contended_closes;
        self.evicted_by_capacity += other.evicted_by_capacity;
        self.evicted_by_expiry += other.evicted_by_expiry;
        self.open_windows += other.open_windows;
        self.unknown_windows += other.unknown_windows;
        self.size += other.size;
        self.weight += other.weight;
    }
}

/// Counters off the hit path, and the hits.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Hits,
    pub(crate) misses: Count,
    pub(crate) loads: Count,
    pub(crate) joins: Count,
    pub(crate) past_loads: Count,
    pub(crate) bypasses: Count,
    pub(crate) load_failures: Count,
    pub(crate) refused_stores: Count,
    pub(crate) stale_served: Count,
    pub(crate) invalidations: Count,
    pub(crate) contended_closes: Count,
    pub(crate) evicted_by_capacity: Count,
    pub(crate) evicted_by_expiry: Count,
    pub(crate) open_windows: Count,
    pub(crate) unknown_windows: Count,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            hits: self.hits.sum(),
            misses: self.misses.get(),
            loads: self.loads.get(),
            joins: self.joins.get(),
            past_loads: self.past_loads.get(),
            bypasses: self.bypasses.get(),
            load_failures: self.load_failures.get(),
            refused_stores: self.refused_stores.get(),
            stale_served: self.stale_served.get(),
            invalidations: self.invalidations.get(),
            contended_closes: self.contended_closes.get(),
            evicted_by_capacity: self.evicted_by_capacity.get(),
            evicted_by_expiry: self.evicted_by_expiry.get(),
            open_windows: self.open_windows.get(),
            unknown_windows: self.unknown_windows.get(),
            size: 0,
            weight: 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn less(&self, n: usize) {
        self.0.fetch_sub(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Threads that count in a cell of their own; those beyond share one.
const CELLS: usize = 63;

/// A counter made of one cell per thread, each written by its thread alone. A cell is handed on when its thread ends.
#[derive(Debug)]
pub(crate) struct Hits {
    own: Box<[Cell; CELLS]>,
    shared: AtomicU64,
}

/// Alone on its cache line, so that no thread waits for another's.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

impl Default for Hits {
    fn default() -> Self {
        Self {
            own: Box::new(std::array::from_fn(|_| Cell::default())),
            shared: AtomicU64::new(0),
        }
    }
}

impl Hits {
    #[inline]
    pub(crate) fn one(&self) {
        match self.own.get(PLACE.get()) {
            Some(Cell(cell)) => cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            None => self.elsewhere(),
        }
    }

    #[cold]
    #[inline(never)]
    fn elsewhere(&self) {
        if PLACE.get() == UNKNOWN {
            // Where a thread ends, nobody knows any more: it shares.
            PLACE.set(TAKEN.try_with(|taken| taken.0).unwrap_or(CELLS));
            return self.one();
        }
        self.shared.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        self.own
            .iter()
            .map(|Cell(cell)| cell.load(Ordering::Relaxed))
            .sum::<u64>()
            + self.shared.load(Ordering::Relaxed)
    }
}

/// Not asked for yet.
const UNKNOWN: usize = usize::MAX;

thread_local! {
    /// The place of this thread's cells: in a hit nothing but a load.
    static PLACE: std::cell::Cell<usize> = const { std::cell::Cell::new(UNKNOWN) };
    static TAKEN: Taken = Taken::new();
}

/// Places that ended threads gave back, and the first one that none ever had.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

/// A place, until its thread ends.
struct Taken(usize);

impl Taken {
    fn new() -> Self {
        let (given_back, first) = &mut *FREE.lock();
        let place = given_back.pop().unwrap_or_else(|| {
            *first = (*first + 1).min(CELLS + 1);
            *first - 1
        });
        Self(place)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        PLACE.set(CELLS);
        if self.0 < CELLS {
            FREE.lock().0.push(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_threads_that_ended_are_kept() {
        let hits = Hits::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| (0..100).for_each(|_| hits.one()));
                }
            });
        }
        hits.one();
        assert_eq!(hits.sum(), 601);
    }

    #[test]
    fn more_threads_than_cells_share_one_and_those_that_end_give_theirs_back() {
        let hits = Hits::default();
        let together = std::sync::Barrier::new(2 * CELLS);
        std::thread::scope(|scope| {
            let count = || {
                hits.one();
                together.wait();
                (0..99).for_each(|_| hits.one());
            };
            let threads: Vec<_> = (0..2 * CELLS).map(|_| scope.spawn(count)).collect();
            // The scope alone waits for what they do, not for what they give back.
            for thread in threads {
                thread.join().unwrap();
            }
        });
        let shared = hits.shared.load(Ordering::Relaxed);
        assert!(shared >= 100 * CELLS as u64, "{shared}");
        assert_eq!(hits.sum(), 200 * CELLS as u64);
        std::thread::scope(|scope| scope.spawn(|| hits.one()).join().unwrap());
        assert_eq!(
            (hits.shared.load(Ordering::Relaxed), hits.sum()),
            (shared, 200 * CELLS as u64 + 1)
        );
    }

    #[test]
    fn a_hit_while_a_thread_ends_is_counted() {
        struct Late(&'static Hits);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.one();
            }
        }
        thread_local!(static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) });
        let hits: &'static Hits = Box::leak(Box::default());
        for counts_first in [true, false] {
            let ending = move || {
                if counts_first {
                    hits.one();
                }
                LATE.set(Some(Late(hits)));
                hits.one();
            };
            std::thread::spawn(ending).join().unwrap();
        }
        assert_eq!(hits.sum(), 5);
    }

    #[test]
    fn adding_adds_each_counter() {
        let one = Stats {
            hits: 3,
            misses: 4,
            loads: 5,
            joins: 6,
            past_loads: 7,
            bypasses: 8,
            load_failures: 9,
            refused_stores: 10,
            stale_served: 11,
            invalidations: 12,
            contended_closes: 13,
            evicted_by_capacity: 14,
            evicted_by_expiry: 15,
            open_windows: 16,
            unknown_windows: 17,
            size: 18,
            weight: 19,
        };
        let mut sum = Stats::default();
        sum.add(&one);
        assert_eq!(sum, one);
        sum.add(&one);
        let twice = Stats {
            hits: 6,
            misses: 8,
            loads: 10,
            joins: 12,
            past_loads: 14,
            bypasses: 16,
            load_failures: 18,
            refused_stores: 20,
            stale_served: 22,
            invalidations: 24,
            contended_closes: 26,
            evicted_by_capacity: 28,
            evicted_by_expiry: 30,
            open_windows: 32,
            unknown_windows: 34,
            size: 36,
            weight: 38,
        };
        assert_eq!(sum, twice);
    }

    #[test]
    fn the_hit_rate_is_in_percent_with_two_decimals() {
        assert!(
            (Stats {
                hits: 2,
                misses: 1,
                ..Stats::default()
            }
            .hit_rate()
                - 66.67)
                .abs()
                < 1e-9
        );
        assert!(Stats::default().hit_rate().abs() < 1e-9);
    }
}
