//! Observation of reads: reports if values came from memory, without a change of the ports'
//! signatures.

use std::cell::Cell;

use cache_core::{Age, Source};
use futures_util::FutureExt;

/// The origin of the values that observed reads returned: memory or the store. Returned by
/// [`observe`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The number of values that were read. A read that bypasses the cache counts as one value.
    pub values: u32,
    /// The number of values that came from memory and had not expired.
    pub hits: u32,
    /// `true` if a value was served after its TTL because its load failed.
    pub is_stale: bool,
    /// The age of the oldest value.
    pub age: Age,
}

impl Provenance {
    /// Returns `true` if at least one value was read, and all of them came from memory.
    ///
    /// ```
    /// use cache_adapter::Provenance;
    ///
    /// assert!(Provenance { values: 2, hits: 2, ..Provenance::default() }.is_hit());
    /// assert!(!Provenance { values: 2, hits: 1, ..Provenance::default() }.is_hit());
    /// assert!(!Provenance::default().is_hit());
    /// ```
    pub fn is_hit(&self) -> bool {
        self.values > 0 && self.hits == self.values
    }
}

tokio::task_local! {
    static OBSERVED: Cell<Provenance>;
}

/// Runs `reads`. Returns its output, and the origin of the values that it read.
///
/// Reads in tasks that `reads` spawns are not observed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// # let store = contract::memory::repositories();
/// use cache_adapter::{Cache, Options, observe};
///
/// let rooms = Cache::new(store, Options::default()).repositories.rooms;
/// let (_, first) = observe(rooms.list(None, 10)).await;
/// let (_, second) = observe(rooms.list(None, 10)).await;
/// assert!(!first.is_hit() && second.is_hit());
/// # Ok(()) }
/// ```
pub fn observe<T>(reads: impl Future<Output = T>) -> impl Future<Output = (T, Provenance)> {
    // This is not an async block: its state would hold `reads` twice, and each hit would copy it.
    OBSERVED.scope(
        Cell::default(),
        reads.map(|output| (output, OBSERVED.with(Cell::get))),
    )
}

/// Adds one value to the [`Provenance`] of the current task. Does nothing if the task is not
/// observed.
pub(crate) fn note(source: Source, age: Age) {
    // An error means that the task is not observed.
    let _ = OBSERVED.try_with(|cell| {
        let observed = cell.get();
        cell.set(Provenance {
            values: observed.values + 1,
            hits: observed.hits + u32::from(source == Source::Hit),
            is_stale: observed.is_stale || source == Source::Stale,
            age: observed.age.max(age),
        });
    });
}
