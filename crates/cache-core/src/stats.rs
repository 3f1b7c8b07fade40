//! Statistics of a region. A hit costs a load and a store in a cell that only its thread writes.

use std::cell::RefCell;

use crate::sync::{
    Arc,
    plain::{AtomicU64, Mutex, Ordering},
};

/// What a region has counted since it was made. `hit_rate` is in percent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the counter of the same name, described in the table of the crate's front page")]
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

/// A counter made of one cell per thread, each written by its thread alone.
#[derive(Debug)]
pub(crate) struct Hits {
    place: usize,
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    living: Vec<Arc<AtomicU64>>,
    /// The sum of cells whose threads have ended.
    ended: u64,
}

/// Places in each thread's list; one is handed on when its counter is dropped.
static PLACES: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

thread_local! {
    static MINE: RefCell<Vec<Option<Arc<AtomicU64>>>> = const { RefCell::new(Vec::new()) };
}

impl Default for Hits {
    fn default() -> Self {
        let mut places = PLACES.lock();
        let place = places.0.pop().unwrap_or_else(|| {
            places.1 += 1;
            places.1 - 1
        });
        Self { place, cells: Mutex::default() }
    }
}

impl Drop for Hits {
    fn drop(&mut self) {
        // A cell says by its count whether its counter is still there, so the next one at this place takes a new cell.
        self.cells.lock().living.clear();
        PLACES.lock().0.push(self.place);
    }
}

impl Hits {
    #[inline]
    pub(crate) fn one(&self) {
        MINE.with_borrow_mut(|mine| {
            if let Some(Some(cell)) = mine.get(self.place)
                && Arc::strong_count(cell) > 1
            {
                cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            } else {
                self.first(mine);
            }
        });
    }

    #[cold]
    fn first(&self, mine: &mut Vec<Option<Arc<AtomicU64>>>) {
        let cell = Arc::new(AtomicU64::new(1));
        let mut cells = self.cells.lock();
        let ended: Vec<_> = cells.living.extract_if(.., |cell| Arc::strong_count(cell) == 1).collect();
        cells.ended += ended.iter().map(|cell| cell.load(Ordering::Relaxed)).sum::<u64>();
        cells.living.push(cell.clone());
        if mine.len() <= self.place {
            mine.resize(self.place + 1, None);
        }
        mine[self.place] = Some(cell);
    }

    fn sum(&self) -> u64 {
        let cells = self.cells.lock();
        cells.ended + cells.living.iter().map(|cell| cell.load(Ordering::Relaxed)).sum::<u64>()
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
                let counting = [(); 2].map(|()| scope.spawn(|| (0..100).for_each(|_| hits.one())));
                // The scope alone waits for what they do, not for their cells to go.
                for thread in counting {
                    thread.join().unwrap();
                }
            });
        }
        hits.one();
        assert_eq!(hits.sum(), 601);
        assert!(hits.cells.lock().living.len() <= 3);
    }

    #[test]
    fn a_thread_counts_in_one_cell_until_it_ends() {
        let hits = Hits::default();
        let cells = || {
            let cells = hits.cells.lock();
            (cells.living.len(), cells.ended)
        };
        (0..100).for_each(|_| hits.one());
        std::thread::scope(|scope| scope.spawn(|| hits.one()).join().unwrap());
        assert_eq!(cells(), (2, 0));
        std::thread::scope(|scope| scope.spawn(|| hits.one()).join().unwrap());
        assert_eq!(cells(), (2, 1));
        assert_eq!(hits.sum(), 102);
    }

    #[test]
    fn places_are_handed_on() {
        // Tests beside this one take some, too.
        assert!((0..1_000).all(|_| Hits::default().place < 500));
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
    fn a_place_handed_on_begins_at_zero() {
        let first = Hits::default();
        first.one();
        drop(first);
        let second = Hits::default();
        second.one();
        assert_eq!(second.sum(), 1);
    }

    #[test]
    fn the_hit_rate_is_in_percent_with_two_decimals() {
        assert!((Stats { hits: 2, misses: 1, ..Stats::default() }.hit_rate() - 66.67).abs() < 1e-9);
        assert!(Stats::default().hit_rate().abs() < 1e-9);
    }
}
