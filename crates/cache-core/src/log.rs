//! A copy of a log's end, and when it may be served: pure transitions that the cache calls under its stripe's lock.
//!
//! The entries of a log take places without a gap, in the order of their commits. A copy knows the place it reaches, its
//! head; the floor is the least head with which it may be served. What comes during a fill, or out of order, waits.

use std::collections::BTreeMap;

/// Entries that wait for one before them; beyond it the copy is given up, which one fill costs less than.
pub const MOST_WAITING: usize = 256;

/// What a copy keeps of the entries that it takes in.
pub trait Fold: Send + 'static {
    /// One entry of the log.
    type Entry: Clone + Send + Sync + 'static;

    /// Takes in the entry at the place behind the last one.
    fn apply(&mut self, place: u64, entry: &Self::Entry);

    /// In the unit of the region's capacity.
    fn weight(&self) -> u32 {
        1
    }
}

/// A copy of a log's end, or what is known of the log while one is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log<C, E> {
    copy: Option<(u64, C)>,
    floor: u64,
    waiting: BTreeMap<u64, E>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the copy, and so is everything that waited for it.
    Applied,
    /// It was there already.
    Known,
    /// It waits for one before it, or for the fill.
    Waits,
    /// Too many wait: this copy is never served again.
    GivenUp,
}

impl<C: Fold> Log<C, C::Entry> {
    /// A copy that is yet to be read, to be served from `floor` on.
    pub fn unfilled(floor: u64) -> Self {
        Self {
            copy: None,
            floor,
            waiting: BTreeMap::new(),
        }
    }

    /// A copy that reaches `head`.
    pub fn of(head: u64, copy: C) -> Self {
        Self {
            copy: Some((head, copy)),
            floor: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// An entry was committed at `place`, which [`Log::saw`] was told in the same step.
    pub fn append(&mut self, place: u64, entry: C::Entry) -> Appended {
        if self.head().is_some_and(|head| place <= head) {
            return Appended::Known;
        }
        self.waiting.insert(place, entry);
        let head = self.head();
        self.absorb();
        if self.waiting.len() > MOST_WAITING {
            self.give_up();
            return Appended::GivenUp;
        }
        if self.head() > head {
            Appended::Applied
        } else {
            Appended::Waits
        }
    }

    /// A write committed, or a reader is about to return, what stands at `place`.
    pub fn saw(&mut self, place: u64) {
        self.floor = self.floor.max(place);
    }

    /// The fill read a copy. Whether it may be served, what waited for it included.
    pub fn fill(&mut self, head: u64, copy: C) -> bool {
        self.copy = Some((head, copy));
        self.waiting.retain(|place, _| *place > head);
        self.absorb();
        self.is_current()
    }

    /// The copy, if it may be served.
    pub fn current(&self) -> Option<&C> {
        self.copy
            .as_ref()
            .filter(|(head, _)| *head >= self.floor)
            .map(|(_, copy)| copy)
    }

    /// Whether the copy may be served.
    pub fn is_current(&self) -> bool {
        self.current().is_some()
    }

    /// The place that the copy reaches; none while it is filled.
    pub fn head(&self) -> Option<u64> {
        self.copy.as_ref().map(|(head, _)| *head)
    }

    /// The least head with which the copy may be served.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Takes the copy out of a log that nobody else has.
    pub fn into_copy(self) -> Option<(u64, C)> {
        self.copy
    }

    /// What the copy weighs; 1 while it is filled.
    pub fn weight(&self) -> u32 {
        self.copy.as_ref().map_or(1, |(_, copy)| copy.weight())
    }

    fn absorb(&mut self) {
        let Some((head, copy)) = &mut self.copy else {
            return;
        };
        while let Some(entry) = self.waiting.remove(&(*head + 1)) {
            *head += 1;
            copy.apply(*head, &entry);
        }
    }

    fn give_up(&mut self) {
        self.floor = u64::MAX;
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Places(Vec<u64>);

    impl Fold for Places {
        type Entry = u64;

        fn apply(&mut self, place: u64, entry: &u64) {
            assert_eq!(place, *entry);
            self.0.push(place);
        }
    }

    fn commit(log: &mut Log<Places, u64>, place: u64, entry: u64) -> Appended {
        log.saw(place);
        log.append(place, entry)
    }

    fn read(log: &Log<Places, u64>) -> Option<&[u64]> {
        log.current().map(|places| places.0.as_slice())
    }

    #[test]
    fn an_entry_behind_the_head_is_applied_and_one_below_it_is_known() {
        let mut log = Log::of(2, Places(vec![1, 2]));
        assert_eq!(commit(&mut log, 3, 3), Appended::Applied);
        assert_eq!(commit(&mut log, 2, 2), Appended::Known);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn over_a_gap_nothing_is_served_until_it_closes() {
        let mut log = Log::of(2, Places(vec![1, 2]));
        assert_eq!(commit(&mut log, 4, 4), Appended::Waits);
        assert_eq!(read(&log), None);
        assert_eq!(commit(&mut log, 3, 3), Appended::Applied);
        assert_eq!(read(&log), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn a_copy_is_not_served_below_what_a_reader_saw() {
        let mut log = Log::of(2, Places(vec![1, 2]));
        log.saw(3);
        assert_eq!(read(&log), None);
        commit(&mut log, 3, 3);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn what_comes_during_a_fill_is_applied_to_it_before_it_is_judged() {
        let mut log = Log::unfilled(0);
        commit(&mut log, 2, 2);
        commit(&mut log, 3, 3);
        assert!(log.fill(2, Places(vec![1, 2])));
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
        let mut log = Log::unfilled(0);
        commit(&mut log, 3, 3);
        assert!(
            !log.fill(1, Places(vec![1])),
            "2 was committed before 3 and is in neither"
        );
        commit(&mut log, 2, 2);
        assert_eq!(read(&log), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn what_a_fill_has_read_itself_waits_no_longer() {
        let mut log = Log::unfilled(0);
        commit(&mut log, 1, 1);
        assert!(log.fill(1, Places(vec![1])));
        let places = 3..3 + MOST_WAITING as u64;
        assert!(
            places
                .clone()
                .all(|place| commit(&mut log, place, place) == Appended::Waits)
        );
        assert_eq!(commit(&mut log, 2, 2), Appended::Applied);
        assert!(read(&log).unwrap().iter().copied().eq(1..places.end));
    }

    #[test]
    fn a_copy_weighs_one_unless_it_says_otherwise() {
        assert_eq!(Log::<Places, u64>::unfilled(0).weight(), 1);
        assert_eq!(Log::of(2, Places(vec![1, 2])).weight(), 1);
    }

    #[test]
    fn a_copy_that_too_many_wait_for_is_given_up() {
        let mut log = Log::of(0, Places(Vec::new()));
        let places = 2..2 + MOST_WAITING as u64;
        assert!(
            places
                .clone()
                .all(|place| commit(&mut log, place, place) == Appended::Waits)
        );
        assert_eq!(commit(&mut log, places.end, places.end), Appended::GivenUp);
        commit(&mut log, 1, 1);
        assert_eq!(read(&log), None);
    }
}
