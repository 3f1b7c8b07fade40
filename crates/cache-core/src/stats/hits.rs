//! A counter of hits that threads increment without contending for a cache line.

use crate::sync::plain::{AtomicU64, Mutex, Ordering};

/// The number of cells that each belong to one thread. Together with the shared cell, they take 4
/// KiB per region. If more threads than this run at a time, the others use the shared cell.
const CELLS: usize = 63;

/// A counter with one cell for each thread, which only that thread writes. When a thread ends, its
/// cell is reused by another.
#[derive(Debug)]
pub(crate) struct Hits {
    cells: Box<[Cell; CELLS]>,
    shared: AtomicU64,
}

/// Aligned to a cache line, so that no two threads write the same one.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

impl Default for Hits {
    fn default() -> Self {
        Self {
            cells: Box::new(std::array::from_fn(|_| Cell::default())),
            shared: AtomicU64::new(0),
        }
    }
}

impl Hits {
    /// Counts one hit.
    #[inline]
    pub(crate) fn one(&self) {
        match self.cells.get(INDEX.get()) {
            // A load and a store, not a read-modify-write: only this thread writes the cell.
            // Relaxed, as all counters: they order nothing else.
            Some(Cell(cell)) => cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            None => self.one_without_cell(),
        }
    }

    #[cold]
    #[inline(never)]
    fn one_without_cell(&self) {
        if INDEX.get() == UNASSIGNED {
            // Fails while the thread ends and `ASSIGNED` is destroyed: it then shares a cell.
            INDEX.set(ASSIGNED.try_with(|assigned| assigned.0).unwrap_or(CELLS));
            return self.one();
        }
        // A read-modify-write, because several threads share this cell.
        self.shared.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of hits.
    pub(crate) fn get(&self) -> u64 {
        let cells = self
            .cells
            .iter()
            .map(|Cell(cell)| cell.load(Ordering::Relaxed));
        cells.sum::<u64>() + self.shared.load(Ordering::Relaxed)
    }
}

/// The index of a thread that has not counted yet.
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    /// The index of this thread's cells. It has no destructor, so that a hit reads it directly.
    static INDEX: std::cell::Cell<usize> = const { std::cell::Cell::new(UNASSIGNED) };
    /// A guard that makes the index available to other threads when the thread ends.
    static ASSIGNED: Assigned = Assigned::new();
}

/// The indices that are not assigned.
static INDICES: Mutex<Indices> = Mutex::new(Indices {
    returned: Vec::new(),
    next: 0,
});

struct Indices {
    /// Indices of threads that have ended.
    returned: Vec<usize>,
    /// The least index that no thread ever had, at most `CELLS`.
    next: usize,
}

/// The index of one thread, until it ends.
struct Assigned(usize);

impl Assigned {
    fn new() -> Self {
        let mut indices = INDICES.lock();
        Self(indices.returned.pop().unwrap_or_else(|| {
            let index = indices.next;
            indices.next = (index + 1).min(CELLS);
            index
        }))
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        // Hits of destructors that run later are counted in the shared cell.
        INDEX.set(CELLS);
        if self.0 < CELLS {
            INDICES.lock().returned.push(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_ended_threads_are_still_counted() {
        let hits = Hits::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| (0..100).for_each(|_| hits.one()));
                }
            });
        }
        hits.one();
        assert_eq!(hits.get(), 601);
    }

    #[test]
    fn threads_beyond_the_cells_share_one_and_ended_threads_return_theirs() {
        let hits = Hits::default();
        let barrier = std::sync::Barrier::new(2 * CELLS);
        std::thread::scope(|scope| {
            let count = || {
                hits.one();
                barrier.wait();
                (0..99).for_each(|_| hits.one());
            };
            let threads: Vec<_> = (0..2 * CELLS).map(|_| scope.spawn(count)).collect();
            // Joined one by one: a scope waits for the closures, not for the thread-locals' drops.
            for thread in threads {
                thread.join().unwrap();
            }
        });
        let shared = hits.shared.load(Ordering::Relaxed);
        assert!(shared >= 100 * CELLS as u64, "{shared}");
        assert_eq!(hits.get(), 200 * CELLS as u64);
        std::thread::scope(|scope| scope.spawn(|| hits.one()).join().unwrap());
        assert_eq!(
            (hits.shared.load(Ordering::Relaxed), hits.get()),
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
        thread_local! {
            static LATE: std::cell::RefCell<Option<Late>> =
                const { std::cell::RefCell::new(None) };
        }
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
        assert_eq!(hits.get(), 5);
    }
}
