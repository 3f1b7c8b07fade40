//! A way to see where the parts of a read came from, without widening the ports.

use std::cell::Cell;

use cache_core::{Age, Source};
use futures_util::FutureExt;

/// Where the parts of the reads inside one [`observe`] came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Parts that were read.
    pub parts: u32,
    /// Those of them that came from memory and were fresh.
    pub hits: u32,
    /// Whether a part was served after its time, because its load failed.
    pub stale: bool,
    /// The age of the oldest part.
    pub age: Age,
}

impl Observed {
    /// Whether something was read, and all of it from memory.
    pub fn is_hit(&self) -> bool {
        self.parts > 0 && self.hits == self.parts
    }
}

tokio::task_local! {
    static OBSERVED: Cell<Observed>;
}

/// Runs `reads` and tells where what they read came from. Reads in tasks of their own are not seen.
pub fn observe<T>(reads: impl Future<Output = T>) -> impl Future<Output = (T, Observed)> {
    // No async block: it would hold `reads` twice, and a hit would pay for copying it.
    OBSERVED.scope(
        Cell::default(),
        reads.map(|read| (read, OBSERVED.with(Cell::get))),
    )
}

pub(crate) fn note(source: Source, age: Age) {
    // Nobody observes: nothing to do.
    let _ = OBSERVED.try_with(|cell| {
        let seen = cell.get();
        cell.set(Observed {
            parts: seen.parts + 1,
            hits: seen.hits + u32::from(source == Source::Hit),
            stale: seen.stale || source == Source::Stale,
            age: seen.age.max(age),
        });
    });
}
