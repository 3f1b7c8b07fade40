//! Fronts: a glance is as current as a look-up, and each thread keeps what it reads often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cache_core::{Front, Policy, Source};

use crate::{support::*, tails};

/// A front of the values themselves, and the number of look-ups that it made.
struct Glances {
    front: Front<u64, u64, u64>,
    look_ups: Arc<AtomicUsize>,
}

impl Glances {
    fn at(numbers: &Numbers) -> Self {
        let look_ups = Arc::<AtomicUsize>::default();
        let counted = look_ups.clone();
        let front = numbers.front(move |value| {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(value)
        });
        Self { front, look_ups }
    }

    fn value(&self, key: u64) -> Option<u64> {
        self.front.glance(&key, |value| Some(*value))?.value
    }

    fn look_ups(&self) -> usize {
        self.look_ups.load(Ordering::SeqCst)
    }

    /// Glances until the thread keeps the value of a key.
    fn keep(&self, key: u64) {
        self.value(key).unwrap();
        self.value(key).unwrap();
        let look_ups = self.look_ups();
        self.value(key).unwrap();
        assert_eq!(self.look_ups(), look_ups, "the value is not kept");
    }
}

#[tokio::test]
async fn a_thread_keeps_the_facts_of_many_keys() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    for key in 0..20 {
        cache.numbers.insert(key, key);
        glances.keep(key);
    }
    let before = glances.look_ups();
    for key in 0..20 {
        assert_eq!(glances.value(key), Some(key));
    }
    // Some keys share a place.
    let kept = 20 - (glances.look_ups() - before);
    assert!(kept > 5, "{kept} facts are kept");
}

#[tokio::test]
async fn a_glance_finds_what_a_look_up_finds_to_the_nanosecond() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    assert_eq!(glances.value(1), None, "nothing is in memory");
    cache.numbers.insert(1, 10);
    for _ in 0..5 {
        let read = glances.front.glance(&1, |value| Some(*value)).unwrap();
        assert_eq!(read, cache.numbers.look_up(&1).unwrap());
    }
    cache.hand.advance(just_before(TTL));
    assert_eq!(glances.value(1), Some(10));
    let read = glances.front.glance(&1, |value| Some(*value)).unwrap();
    assert_eq!(
        (read.source, Duration::from(read.age)),
        (Source::Hit, just_before(TTL))
    );
    cache.hand.advance(NANO);
    assert_eq!(glances.value(1), None);
}

#[tokio::test]
async fn every_change_of_its_key_ends_a_glance() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    let keep = |value| {
        cache.numbers.insert(1, value);
        glances.keep(1);
        assert_eq!(glances.value(1), Some(value));
    };
    keep(10);
    cache.numbers.insert(1, 11);
    assert_eq!(glances.value(1), Some(11), "the value was replaced");
    keep(12);
    cache.numbers.remove(&1);
    assert_eq!(glances.value(1), None, "the value was removed by hand");
    keep(13);
    cache.manager.clear();
    assert_eq!(glances.value(1), None, "the cache was cleared");
    keep(14);
    cache.numbers.remove_where(|_| true);
    assert_eq!(glances.value(1), None, "all keys were removed");
    keep(15);
    let (writing, gate) = cache.open_window(16).await;
    assert_eq!(glances.value(1), None, "a write has begun");
    gate.open();
    writing.await.unwrap();
    assert_eq!(glances.value(1), Some(16), "the write stored its row");
    glances.keep(1);
    assert!(cache.manager.set_enabled("numbers", false));
    assert_eq!(glances.value(1), None, "the region was switched off");
}

#[tokio::test]
async fn a_value_that_is_evicted_or_refreshed_ends_a_glance() {
    let cache = fixture_with(Policy::new(TTL, 2).refresh_after(0.5), |builder| builder);
    let glances = Glances::at(&cache.numbers);
    cache.numbers.insert(1, 10);
    glances.keep(1);
    for key in 2..100 {
        cache.numbers.insert(key, key);
    }
    assert_eq!(
        glances.value(1),
        cache.numbers.look_up(&1).and_then(|read| read.value)
    );
    assert!(cache.stats().evicted_by_capacity > 0);
    cache.numbers.insert(1, 10);
    glances.keep(1);
    cache.hand.advance(TTL / 2);
    assert_eq!(
        glances.value(1),
        None,
        "a refresh is due, which a read starts"
    );
}

#[tokio::test]
async fn a_glance_counts_as_a_hit_and_one_that_finds_nothing_counts_nothing() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    assert_eq!(glances.value(1), None);
    assert_eq!((cache.stats().hits, cache.stats().misses), (0, 0));
    cache.numbers.insert(1, 10);
    (0..5).for_each(|_| assert_eq!(glances.value(1), Some(10)));
    assert_eq!((cache.stats().hits, cache.stats().misses), (5, 0));
    for _ in 0..3 {
        assert!(glances.front.glance(&1, |_| None::<u64>).is_none());
    }
    assert_eq!(cache.stats().hits, 5, "the fact was refused");
}

#[tokio::test]
async fn a_thread_looks_a_value_up_again_after_a_tenth_of_a_second() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    cache.numbers.insert(1, 10);
    glances.keep(1);
    let look_ups = glances.look_ups();
    cache.hand.advance(just_before(Duration::from_millis(100)));
    glances.value(1).unwrap();
    assert_eq!(glances.look_ups(), look_ups);
    cache.hand.advance(NANO);
    glances.value(1).unwrap();
    assert_eq!(glances.look_ups(), look_ups + 1);
    glances.value(1).unwrap();
    assert_eq!(glances.look_ups(), look_ups + 1, "it is kept again at once");
}

#[tokio::test]
async fn keys_that_are_read_once_displace_no_frequent_one() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    (0..500).for_each(|key| assert!(cache.numbers.insert(key, key)));
    glances.keep(0);
    let look_ups = glances.look_ups();
    for key in 1..500 {
        glances.value(key).unwrap();
    }
    glances.value(0).unwrap();
    assert_eq!(
        glances.look_ups(),
        look_ups + 499,
        "only the others were looked up"
    );
}

#[tokio::test]
async fn each_thread_keeps_facts_of_its_own_and_a_change_ends_all() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    cache.numbers.insert(1, 10);
    glances.keep(1);
    let look_ups = glances.look_ups();
    thread::scope(|scope| {
        scope.spawn(|| glances.keep(1)).join().unwrap();
    });
    assert_eq!(glances.look_ups(), look_ups + 2);
    cache.numbers.insert(1, 11);
    thread::scope(|scope| {
        let value = scope.spawn(|| glances.value(1)).join().unwrap();
        assert_eq!((value, glances.value(1)), (Some(11), Some(11)));
    });
}

#[tokio::test]
async fn a_glance_may_be_within_another_and_a_fact_may_be_refused() {
    let cache = fixture();
    let glances = Glances::at(&cache.numbers);
    cache.numbers.insert(1, 10);
    cache.numbers.insert(2, 20);
    for _ in 0..4 {
        let outer = glances
            .front
            .glance(&1, |value| Some((*value, glances.value(2))));
        assert_eq!(outer.unwrap().value, Some((10, Some(20))));
    }
    let even = cache
        .numbers
        .front(|value| (value % 20 == 0).then_some(value));
    assert!(even.glance(&1, |value| Some(*value)).is_none());
    assert_eq!(
        even.glance(&2, |value| Some(*value)).unwrap().value,
        Some(20)
    );
}

#[tokio::test]
async fn there_are_no_glances_in_a_region_with_a_time_to_idle() {
    let cache = fixture_with(Policy::new(TTL, 10).time_to_idle(TTL / 2), |builder| {
        builder
    });
    cache.numbers.insert(1, 10);
    assert!(cache.numbers.look_up(&1).is_some());
    assert_eq!(Glances::at(&cache.numbers).value(1), None);
}

#[tokio::test]
async fn a_glance_at_a_log_finds_each_entry_and_no_copy_below_the_floor() {
    let setup = tails::setup();
    let front = setup.logs.front(tails::Seqs::last);
    let last = || {
        front
            .glance(&7, |seq| Some(*seq))
            .and_then(|read| read.value)
    };
    assert_eq!(last(), None, "there is no copy");
    setup.fill(7, &[1]).await;
    for seq in 2..20 {
        (0..3).for_each(|_| assert_eq!(last(), Some(seq - 1)));
        setup.append(7, seq).await;
        assert_eq!(last(), Some(seq));
    }
    (0..3).for_each(|_| assert_eq!(last(), Some(19)));
    setup.logs.saw(&7, 19);
    assert_eq!(last(), Some(19));
    setup.logs.saw(&7, 20);
    assert_eq!(
        last(),
        None,
        "a reader has seen an entry that the copy lacks"
    );
    setup.append(7, 20).await;
    assert_eq!(last(), Some(20));
    setup.append(7, 22).await;
    assert_eq!(last(), None, "the copy has a gap");
    setup.append(7, 21).await;
    assert_eq!(last(), Some(22));
}
