//! Bulk invalidations: a printed key, a prefix, a glob, a region and a clear remove just what they
//! name.

use std::{fmt, str::FromStr, time::Duration};

use cache_core::{Entries, Entry, Policy, Region};

use crate::support::*;

/// A room and one of its members, printed as `room/member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seat(u64, u64);

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl FromStr for Seat {
    type Err = ();

    fn from_str(printed: &str) -> Result<Self, ()> {
        let (room, member) = printed.split_once('/').ok_or(())?;
        Ok(Self(
            room.parse().map_err(drop)?,
            member.parse().map_err(drop)?,
        ))
    }
}

struct Hall {
    cache: Fixture,
    seats: Region<Seat, u64>,
    names: Region<String, u64>,
}

fn hall() -> Hall {
    let cache = fixture();
    let seats = cache.manager.region_builder("seats", Policy::new(TTL, 100));
    let seats = seats.printed_keys().build();
    let names = cache.manager.region_builder("names", Policy::new(TTL, 100));
    let names = names.printed_keys().build();
    for key in [5, 7, 50, 55] {
        cache.numbers.insert(key, key);
    }
    for seat in [Seat(5, 1), Seat(5, 2), Seat(50, 1), Seat(1, 5)] {
        seats.insert(seat, 0);
    }
    for name in ["ada", "adam", "bob:5"] {
        names.insert(name.to_owned(), 0);
    }
    Hall {
        cache,
        seats,
        names,
    }
}

impl Hall {
    /// Returns the printed keys in memory.
    fn present(&self) -> Vec<String> {
        let numbers = [5, 7, 50, 55]
            .into_iter()
            .filter(|key| self.cache.numbers.look_up(key).is_some());
        let seats = [Seat(5, 1), Seat(5, 2), Seat(50, 1), Seat(1, 5)]
            .into_iter()
            .filter(|seat| self.seats.look_up(seat).is_some());
        let names = ["ada", "adam", "bob:5"]
            .into_iter()
            .filter(|name| self.names.look_up(*name).is_some());
        let numbers = numbers.map(|key| format!("numbers:{key}"));
        numbers
            .chain(seats.map(|seat| format!("seats:{seat}")))
            .chain(names.map(|name| format!("names:{name}")))
            .collect()
    }

    /// Runs an invalidation and returns the printed keys that it removed. Asserts that the
    /// invalidation returned their number.
    fn removed_by(&self, invalidate: impl FnOnce(&Hall) -> usize) -> Vec<String> {
        let before = self.present();
        let count = invalidate(self);
        let after = self.present();
        let removed: Vec<_> = before
            .into_iter()
            .filter(|printed| !after.contains(printed))
            .collect();
        assert_eq!(removed.len(), count);
        removed
    }
}

#[tokio::test]
async fn a_printed_key_removes_its_entry() {
    let hall = hall();
    assert_eq!(
        hall.removed_by(|hall| hall.cache.manager.invalidate_key("numbers:5")),
        ["numbers:5"]
    );
    assert_eq!(
        hall.removed_by(|hall| hall.cache.manager.invalidate_key("seats:5/2")),
        ["seats:5/2"]
    );
    assert_eq!(
        hall.removed_by(|hall| hall.cache.manager.invalidate_key("names:bob:5")),
        ["names:bob:5"]
    );
}

#[tokio::test]
async fn a_key_that_names_nothing_removes_nothing() {
    let hall = hall();
    for printed in [
        "",
        ":",
        "numbers",
        "numbers:",
        "numbers:x",
        "numbers:6",
        "letters:5",
        "seats:5",
        "5",
    ] {
        assert!(
            hall.removed_by(|hall| hall.cache.manager.invalidate_key(printed))
                .is_empty(),
            "{printed}"
        );
    }
}

#[tokio::test]
async fn a_prefix_ends_at_the_end_of_an_id() {
    let cases: [(&str, &[&str]); 9] = [
        ("numbers:5", &["numbers:5"]),
        (
            "numbers:",
            &["numbers:5", "numbers:7", "numbers:50", "numbers:55"],
        ),
        (
            "numbers",
            &["numbers:5", "numbers:7", "numbers:50", "numbers:55"],
        ),
        ("num", &[]),
        ("seats:5", &["seats:5/1", "seats:5/2"]),
        ("seats:5/", &["seats:5/1", "seats:5/2"]),
        ("seats:5/2", &["seats:5/2"]),
        ("names:ada", &["names:ada"]),
        ("names:bob", &["names:bob:5"]),
    ];
    for (prefix, expected) in cases {
        assert_eq!(
            hall().removed_by(|hall| hall.cache.manager.invalidate_prefix(prefix)),
            expected,
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn a_glob_matches_any_text_and_single_characters() {
    let cases: [(&str, &[&str]); 8] = [
        ("*:5", &["numbers:5", "names:bob:5"]),
        ("numbers:?", &["numbers:5", "numbers:7"]),
        ("numbers:??", &["numbers:50", "numbers:55"]),
        (
            "n*:5*",
            &["numbers:5", "numbers:50", "numbers:55", "names:bob:5"],
        ),
        ("seats:*/1", &["seats:5/1", "seats:50/1"]),
        ("numbers:5", &["numbers:5"]),
        ("5", &[]),
        ("names:ad?m", &["names:adam"]),
    ];
    for (pattern, expected) in cases {
        assert_eq!(
            hall().removed_by(|hall| hall.cache.manager.invalidate_glob(pattern)),
            expected,
            "{pattern}"
        );
    }
}

#[tokio::test]
async fn clearing_a_region_removes_just_its_entries() {
    let hall = hall();
    assert_eq!(
        hall.removed_by(|hall| hall.cache.manager.clear_region("names").unwrap()),
        ["names:ada", "names:adam", "names:bob:5"]
    );
    assert_eq!(hall.cache.manager.clear_region("letters"), None);
    assert_eq!(hall.present().len(), 8);
}

#[tokio::test]
async fn a_clear_removes_everything_and_counts_it() {
    let hall = hall();
    assert_eq!(hall.removed_by(|hall| hall.cache.manager.clear()).len(), 11);
    assert_eq!(hall.cache.manager.clear(), 0);
    let counted: u64 = hall
        .cache
        .manager
        .stats()
        .iter()
        .map(|region| region.stats.invalidations)
        .sum();
    assert_eq!(counted, 11);
}

#[tokio::test]
async fn values_are_removed_by_a_closure_over_their_keys_and_counted() {
    let cache = fixture();
    for key in 1..=5 {
        cache.numbers.insert(key, 10 * key);
    }
    assert_eq!(cache.numbers.remove_where(|key| key % 2 == 1), 3);
    let left = [1, 2, 3, 4, 5].map(|key| cache.numbers.get(&key));
    assert_eq!(left, [None, Some(20), None, Some(40), None]);
}

#[tokio::test]
async fn removing_a_key_returns_true_if_it_was_in_memory() {
    let hall = hall();
    assert!(hall.cache.numbers.remove(&5));
    assert!(!hall.cache.numbers.remove(&5));
}

#[tokio::test]
async fn switching_a_region_off_empties_it_and_no_other() {
    let hall = hall();
    hall.cache.manager.set_enabled("numbers", false);
    assert_eq!(hall.present().len(), 7);
    assert_eq!(hall.cache.stats().invalidations, 4);
    hall.cache.manager.set_all_enabled(false);
    assert!(hall.present().is_empty());
}

#[tokio::test]
async fn a_clear_finds_every_one_of_many_entries() {
    let cache = fixture_with(Policy::new(TTL, 20_000), |builder| builder);
    for key in 0..10_000 {
        assert!(cache.numbers.insert(key, key));
    }
    assert_eq!(cache.manager.clear(), 10_000);
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn regions_are_listed_in_the_order_of_their_creation() {
    let hall = hall();
    assert_eq!(hall.cache.manager.regions(), ["numbers", "seats", "names"]);
    assert_eq!(
        format!("{:?}", hall.cache.manager),
        r#"["numbers", "seats", "names"]"#
    );
}

/// Bulk invalidations run beside loads and evictions of the same keys on other threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_older_row_is_read_after_a_bulk_invalidation() {
    let cache = fixture_with(Policy::new(TTL, 32), |builder| builder);
    let row = Row::holding(0);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let churn: Vec<_> = (0..2)
        .map(|_| {
            let (numbers, row, done) = (cache.numbers.clone(), row.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    for key in 0..48 {
                        value_of(numbers.get_or_load(key, row.read())).await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for value in 1..=600 {
        row.set(value);
        match value % 4 {
            0 => drop(cache.manager.clear()),
            1 => drop(cache.manager.clear_region("numbers")),
            2 => drop(cache.manager.invalidate_prefix("numbers:")),
            _ => drop(cache.manager.invalidate_glob("n*:*")),
        }
        for key in 0..48 {
            assert_eq!(
                value_of(cache.numbers.get_or_load(key, row.read())).await,
                Some(value),
                "key {key}"
            );
        }
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for task in churn {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_entries_of_a_region_are_listed_with_their_times_and_weights() {
    let cache = fixture();
    cache.hand.advance(NANO);
    cache.numbers.insert_entry(70, Entry::new(1).ttl(2 * NANO));
    cache.hand.advance(NANO);
    cache.numbers.insert(7, 1);
    value_of(cache.numbers.get_or_load(700, returns_none())).await;
    let entries = cache.manager.entries("numbers", "7", 3).unwrap();
    assert_eq!(entries.count, 3);
    let figures = entries.first.iter().map(|entry| {
        let key = &*entry.key;
        (
            key,
            entry.is_absence,
            entry.age,
            entry.time_left,
            entry.weight,
        )
    });
    let figures: Vec<_> = figures.collect();
    let absent = Duration::from_secs(5);
    assert_eq!(
        figures,
        [
            ("numbers:7", false, Duration::ZERO, TTL, 1),
            ("numbers:70", false, NANO, NANO, 1),
            ("numbers:700", true, Duration::ZERO, absent, 0),
        ]
    );
    cache.hand.advance(2 * NANO);
    let expired = cache.manager.entries("numbers", "s:70", 1).unwrap();
    assert_eq!((expired.count, expired.first.len()), (2, 1));
    assert_eq!(expired.first[0].key, "numbers:70");
    assert_eq!(expired.first[0].time_left, Duration::ZERO);
    let none = Some(Entries::default());
    assert_eq!(cache.manager.entries("numbers", "8", 9), none);
    assert_eq!(cache.manager.entries("names", "", 9), None);
    let policy = Policy::new(TTL, 1);
    let silent = cache.manager.region::<u64, u64>("silent", policy);
    silent.insert(7, 7);
    assert_eq!(cache.manager.entries("silent", "", 9), none);
}
