//! A copy of the end of a log, and the rule that says when it may be served.
//!
//! The entries of a log have gapless sequence numbers, in the order of their commits. The *head* of
//! a copy is the highest sequence number in it. Its *floor* is the least head with which it may be
//! served. Entries that come during a fill, or out of order, are buffered.

use std::collections::BTreeMap;

/// How many out-of-order entries are buffered before the copy is discarded. Refilling is cheaper
/// than buffering more: a fill is one query, while each buffered entry holds memory.
pub const MAX_BUFFERED: usize = 256;

/// A copy of the end of one log, to which committed entries are applied.
///
/// ```
/// /// The last ten lines.
/// struct Lines(std::collections::VecDeque<String>);
///
/// impl cache_core::Fold for Lines {
///     type Entry = String;
///
///     fn apply(&mut self, _seq: u64, line: &String) {
///         if self.0.len() == 10 {
///             self.0.pop_front();
///         }
///         self.0.push_back(line.clone());
///     }
/// }
/// ```
pub trait Fold: Send + 'static {
    /// An entry of the log.
    type Entry: Clone + Send + Sync + 'static;

    /// Applies the entry that follows the head. `seq` is its sequence number.
    ///
    /// It is called under a lock: it must not wait, and it must not call the cache.
    fn apply(&mut self, seq: u64, entry: &Self::Entry);

    /// Returns the weight of the copy in the unit of the region's capacity; 1 by default.
    ///
    /// It is called under a lock: it must not wait, and it must not call the cache.
    fn weight(&self) -> u32 {
        1
    }
}

/// A copy of the end of a log, or the entries that are buffered while it is filled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log<C, E> {
    copy: Option<Filled<C>>,
    floor: u64,
    buffered: BTreeMap<u64, E>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Filled<C> {
    head: u64,
    copy: C,
}

/// The effect of an append on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The entry was applied, and with it every buffered entry that followed.
    Applied,
    /// The copy had the entry already.
    Duplicate,
    /// The entry is buffered until an earlier one, or the fill, arrives.
    Buffered,
    /// Too many entries were buffered: this copy is never served again.
    Discarded,
}

impl<C: Fold> Log<C, C::Entry> {
    /// Returns a copy that is yet to be filled, and is not served below `floor`.
    pub fn unfilled(floor: u64) -> Self {
        Self {
            copy: None,
            floor,
            buffered: BTreeMap::new(),
        }
    }

    /// Returns a filled copy whose highest sequence number is `head`.
    pub fn filled(head: u64, copy: C) -> Self {
        Self {
            copy: Some(Filled { head, copy }),
            floor: 0,
            buffered: BTreeMap::new(),
        }
    }

    /// Adds a committed entry. The caller raises the floor in the same step.
    pub fn append(&mut self, seq: u64, entry: C::Entry) -> Appended {
        let head = self.head();
        if head.is_some_and(|head| seq <= head) {
            return Appended::Duplicate;
        }
        self.buffered.insert(seq, entry);
        self.apply_buffered();
        if self.buffered.len() > MAX_BUFFERED {
            self.discard();
            return Appended::Discarded;
        }
        if self.head() > head {
            Appended::Applied
        } else {
            Appended::Buffered
        }
    }

    /// Raises the floor: a write committed `seq`, or a reader is about to return it.
    pub fn raise_floor(&mut self, seq: u64) {
        self.floor = self.floor.max(seq);
    }

    /// Fills the copy and applies the buffered entries. Returns `true` if it may be served.
    pub fn fill(&mut self, head: u64, copy: C) -> bool {
        self.copy = Some(Filled { head, copy });
        self.buffered.retain(|seq, _| *seq > head);
        self.apply_buffered();
        self.is_current()
    }

    /// Returns the copy if it may be served.
    pub fn current(&self) -> Option<&C> {
        self.copy
            .as_ref()
            .filter(|filled| filled.head >= self.floor)
            .map(|filled| &filled.copy)
    }

    /// Returns `true` if the copy may be served.
    pub fn is_current(&self) -> bool {
        self.current().is_some()
    }

    /// Returns the highest sequence number in the copy; `None` until it is filled.
    pub fn head(&self) -> Option<u64> {
        self.copy.as_ref().map(|filled| filled.head)
    }

    /// Returns the least head with which the copy may be served.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Returns the head and the copy; `None` if it was never filled.
    pub fn into_copy(self) -> Option<(u64, C)> {
        self.copy.map(|filled| (filled.head, filled.copy))
    }

    /// Returns the weight of the copy; 1 until it is filled.
    pub fn weight(&self) -> u32 {
        self.copy.as_ref().map_or(1, |filled| filled.copy.weight())
    }

    fn apply_buffered(&mut self) {
        let Some(Filled { head, copy }) = &mut self.copy else {
            return;
        };
        while let Some(entry) = self.buffered.remove(&(*head + 1)) {
            // The head is raised afterwards: if `apply` panics, the copy does not claim the entry.
            copy.apply(*head + 1, &entry);
            *head += 1;
        }
    }

    /// Bars the copy from ever being served. A fill of the same log does not revive it.
    pub fn discard(&mut self) {
        self.floor = u64::MAX;
        self.buffered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Seqs(Vec<u64>);

    impl Fold for Seqs {
        type Entry = u64;

        fn apply(&mut self, seq: u64, entry: &u64) {
            assert_eq!(seq, *entry);
            self.0.push(seq);
        }
    }

    fn commit(log: &mut Log<Seqs, u64>, seq: u64, entry: u64) -> Appended {
        log.raise_floor(seq);
        log.append(seq, entry)
    }

    fn read(log: &Log<Seqs, u64>) -> Option<&[u64]> {
        log.current().map(|seqs| seqs.0.as_slice())
    }

    #[test]
    fn an_entry_after_the_head_is_applied_and_one_below_it_is_a_duplicate() {
        let mut log = Log::filled(2, Seqs(vec![1, 2]));
        assert_eq!(commit(&mut log, 3, 3), Appended::Applied);
        assert_eq!(commit(&mut log, 2, 2), Appended::Duplicate);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn a_copy_with_a_gap_is_not_served_until_the_gap_closes() {
        let mut log = Log::filled(2, Seqs(vec![1, 2]));
        assert_eq!(commit(&mut log, 4, 4), Appended::Buffered);
        assert_eq!(read(&log), None);
        assert_eq!(commit(&mut log, 3, 3), Appended::Applied);
        assert_eq!(read(&log), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn a_copy_is_not_served_below_its_floor() {
        let mut log = Log::filled(2, Seqs(vec![1, 2]));
        log.raise_floor(3);
        assert_eq!(read(&log), None);
        commit(&mut log, 3, 3);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn entries_that_come_during_a_fill_are_applied_before_it_is_judged() {
        let mut log = Log::unfilled(0);
        commit(&mut log, 2, 2);
        commit(&mut log, 3, 3);
        assert!(log.fill(2, Seqs(vec![1, 2])));
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
        let mut log = Log::unfilled(0);
        commit(&mut log, 3, 3);
        assert!(
            !log.fill(1, Seqs(vec![1])),
            "entry 2 was committed before 3 and is in neither"
        );
        commit(&mut log, 2, 2);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn entries_that_a_fill_has_read_are_not_buffered_any_longer() {
        let mut log = Log::unfilled(0);
        commit(&mut log, 1, 1);
        assert!(log.fill(1, Seqs(vec![1])));
        let seqs = 3..3 + MAX_BUFFERED as u64;
        assert!(
            seqs.clone()
                .all(|seq| commit(&mut log, seq, seq) == Appended::Buffered)
        );
        assert_eq!(commit(&mut log, 2, 2), Appended::Applied);
        assert!(read(&log).unwrap().iter().copied().eq(1..seqs.end));
    }

    #[test]
    fn a_copy_weighs_one_by_default() {
        assert_eq!(Log::<Seqs, u64>::unfilled(0).weight(), 1);
        assert_eq!(Log::filled(2, Seqs(vec![1, 2])).weight(), 1);
    }

    #[test]
    fn a_copy_with_too_many_buffered_entries_is_discarded() {
        let mut log = Log::filled(0, Seqs(Vec::new()));
        let seqs = 2..2 + MAX_BUFFERED as u64;
        assert!(
            seqs.clone()
                .all(|seq| commit(&mut log, seq, seq) == Appended::Buffered)
        );
        assert_eq!(commit(&mut log, seqs.end, seqs.end), Appended::Discarded);
        commit(&mut log, 1, 1);
        assert_eq!(read(&log), None);
    }
}
