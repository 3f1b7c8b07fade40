//! Groups of connections: memory that requests write is divided among them.
//!
//! Two cores that write the same line of memory wait for each other. So connections are dealt to
//! groups, and each group has its own routes, counters, and [`AppHandle`](crate::AppHandle).

use std::{array, sync::LazyLock, thread};

/// The most groups. Further ones would take memory, and save little: with 64 groups, two of 16
/// requests that are handled at the same time seldom belong to one.
const MOST: usize = 64;
/// The groups for each core. With more groups than cores, two cores seldom serve the same one.
const PER_CORE: usize = 4;

/// The number of groups, which depends on the number of cores.
static COUNT: LazyLock<usize> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (PER_CORE * cores).min(MOST)
});

/// A group of connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group(usize);

impl Group {
    /// Returns all groups.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..*COUNT).map(Self)
    }
}

/// A value for each group. Each has its own lines of memory.
#[derive(Debug)]
pub(crate) struct PerGroup<T>(Box<[Apart<T>]>);

/// A value that shares no line of memory with its neighbours. Processors fetch two lines of 64
/// bytes at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Default for PerGroup<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> PerGroup<T> {
    /// Creates the value of each group.
    pub(crate) fn new(value: impl Fn() -> T) -> Self {
        Self(Group::all().map(|_| Apart(value())).collect())
    }

    /// Returns the value of a group.
    pub(crate) fn of(&self, Group(index): Group) -> &T {
        &self.0[index].0
    }

    /// Returns the values of all groups.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(value)| value)
    }

    /// Returns the sums over all groups of `N` numbers.
    pub(crate) fn sums<const N: usize>(&self, numbers: impl Fn(&T) -> [u64; N]) -> [u64; N] {
        let mut sums = [0_u64; N];
        for value in self.all() {
            let numbers = numbers(value);
            sums = array::from_fn(|index| sums[index] + numbers[index]);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn counts_of_groups_share_no_line_and_are_summed() {
        let counts = PerGroup::<AtomicU64>::default();
        for (number, group) in Group::all().enumerate() {
            counts.of(group).store(number as u64, Ordering::Relaxed);
        }
        let groups = Group::all().count() as u64;
        let sums = counts.sums(|count| [count.load(Ordering::Relaxed), 1]);
        assert_eq!(sums, [groups * (groups - 1) / 2, groups]);
        let addresses: Vec<usize> = counts
            .all()
            .map(|count| (&raw const *count).addr())
            .collect();
        assert!(addresses.is_sorted_by(|first, second| second - first >= 128));
    }
}
