//! Bulk operations beside the ends of logs, writes that append more than one entry, and what bulk
//! operations copy.

use std::{
    convert::Infallible,
    fmt,
    hash::{Hash, Hasher},
    num::ParseIntError,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
};

use cache_core::{Fold, Policy, Region, TailRegion, Written};

use crate::support::*;

type Action = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

fn run_once(action: &Action) {
    let armed = action.lock().unwrap().take();
    if let Some(run) = armed {
        run();
    }
}

/// A key that runs an action when it is hashed next.
#[derive(Clone, Default)]
struct Hooked {
    number: u64,
    on_hash: Action,
}

impl Hash for Hooked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        run_once(&self.on_hash);
        self.number.hash(state);
    }
}

impl PartialEq for Hooked {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Hooked {}

impl fmt::Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl FromStr for Hooked {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let number = text.parse()?;
        Ok(Self {
            number,
            ..Self::default()
        })
    }
}

/// The sequence numbers in a copy. It weighs as many, and runs an action when it is weighed next.
struct Seqs {
    seqs: Vec<u64>,
    on_weighing: Action,
}

impl Fold for Seqs {
    type Entry = u64;

    fn apply(&mut self, seq: u64, _: &u64) {
        self.seqs.push(seq);
    }

    fn weight(&self) -> u32 {
        run_once(&self.on_weighing);
        u32::try_from(self.seqs.len()).unwrap()
    }
}

type Logs<K> = TailRegion<K, Seqs>;

fn logs<K: cache_core::Key>(cache: &Fixture) -> Logs<K> {
    cache
        .manager
        .tail_region("logs", Policy::new(TTL, 1_000), 1)
}

fn cached<K: cache_core::Key>(logs: &Logs<K>, key: &K) -> Option<Vec<u64>> {
    logs.look_up(key, |copy| Some(copy.seqs.clone()))?.value
}

async fn fill<K: cache_core::Key>(logs: &Logs<K>, key: K, seqs: Vec<u64>, on_weighing: Action) {
    let copy = Seqs { seqs, on_weighing };
    let load = move || async move { Ok::<_, Infallible>(Some((copy.seqs.len() as u64, copy))) };
    logs.get_or_fill(key, load, |_| Some(())).await.unwrap();
}

/// A way to remove all copies.
#[derive(Clone, Copy, Debug)]
enum Removal {
    ByHand,
    Guard,
    GuardOverRecognizedKeys,
}

/// A channel whose receiver fails the test instead of waiting forever.
fn signal() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
    let (sender, receiver) = mpsc::channel();
    (sender, move || {
        receiver.recv_timeout(PATIENCE).expect("the signal came");
    })
}

/// Begins a removal of all copies, and holds it just before it removes the copy. An append finds
/// the copy before the removal, and gives it another weight after it. Returns the copy in memory
/// when both have ended.
async fn copy_after_a_removal_beside_an_append(removal: Removal, fault: Fault) -> Option<Vec<u64>> {
    let cache = fixture_with(Policy::new(TTL, 10), |builder| plant(builder, fault));
    let logs = logs::<Hooked>(&cache);
    let (key, on_weighing) = (Hooked::default(), Action::default());
    fill(&logs, key.clone(), vec![1, 2], on_weighing.clone()).await;
    let ((in_removal, wait_for_removal), (copy_found, wait_for_append)) = (signal(), signal());
    *key.on_hash.lock().unwrap() = Some(Box::new(move || {
        in_removal.send(()).unwrap();
        wait_for_append();
    }));
    let (removed, wait_until_removed) = signal();
    let (manager, removed_logs) = (cache.manager.clone(), logs.clone());
    let removing = tokio::spawn(async move {
        // The windows are open when it begins.
        let write = async move {
            removed.send(()).unwrap();
            Written::<_, Infallible>::Committed(())
        };
        let guard = manager.guard();
        let guard = match removal {
            Removal::ByHand => {
                assert_eq!(manager.clear_region("logs"), Some(1));
                guard
            }
            Removal::Guard => guard.region(removed_logs.region()),
            Removal::GuardOverRecognizedKeys => guard.keys_where(removed_logs.region(), |_| true),
        };
        guard.run(write).await.unwrap();
    });
    tokio::task::spawn_blocking(wait_for_removal).await.unwrap();
    *on_weighing.lock().unwrap() = Some(Box::new(move || {
        copy_found.send(()).unwrap();
        wait_until_removed();
    }));
    let guard = cache.manager.guard();
    let guard = guard.append(&logs, Hooked::default(), |()| [(3, 3)]);
    guard
        .run(async { Written::<_, Infallible>::Committed(()) })
        .await
        .unwrap();
    removing.await.unwrap();
    assert!(
        on_weighing.lock().unwrap().is_none(),
        "the append did not weigh the copy"
    );
    cached(&logs, &Hooked::default())
}

const REMOVALS: [Removal; 3] = [
    Removal::ByHand,
    Removal::Guard,
    Removal::GuardOverRecognizedKeys,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_does_not_undo_a_removal_of_all_copies() {
    for removal in REMOVALS {
        let copy = copy_after_a_removal_beside_an_append(removal, Fault::None).await;
        assert_eq!(copy, None, "{removal:?}");
    }
}

#[cfg(feature = "faults")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_that_undoes_a_removal_is_found() {
    for removal in REMOVALS {
        let copy = copy_after_a_removal_beside_an_append(removal, Fault::RemovalUndone).await;
        assert_eq!(copy, Some(vec![1, 2, 3]), "{removal:?}");
    }
}

/// Appends run on one thread, and fills and clears on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_copy_outlives_a_clear_among_appends() {
    let cache = fixture();
    let logs = logs::<u64>(&cache);
    let (head, done) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let appending = {
        let (manager, logs) = (cache.manager.clone(), logs.clone());
        let (head, done) = (head.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                let head = head.clone();
                let write = async move {
                    Written::<_, Infallible>::Committed(head.fetch_add(1, Ordering::SeqCst) + 1)
                };
                let guard = manager.guard().append(&logs, 7, |seq: &u64| [(*seq, *seq)]);
                guard.run(write).await.unwrap();
            }
        })
    };
    for round in 0..3_000 {
        let at = head.clone();
        let copy = Seqs {
            seqs: vec![0],
            on_weighing: Action::default(),
        };
        let load = || async move { Ok::<_, Infallible>(Some((at.load(Ordering::SeqCst), copy))) };
        logs.get_or_fill(7, load, |_| Some(())).await.unwrap();
        tokio::task::yield_now().await;
        cache.manager.clear_region("logs");
        // Only this task fills.
        assert_eq!(logs.region().stats().size, 0, "round {round}");
    }
    done.store(true, Ordering::SeqCst);
    appending.await.unwrap();
}

#[tokio::test]
async fn a_write_that_appends_to_two_logs_of_a_region_applies_to_each_its_own_entry() {
    let cache = fixture();
    let logs = logs::<u64>(&cache);
    for key in [7, 8] {
        fill(&logs, key, vec![1], Action::default()).await;
    }
    let write = async { Written::<_, Infallible>::Committed((2, 3)) };
    cache
        .manager
        .guard()
        .append(&logs, 7, |seqs: &(u64, u64)| [(seqs.0, seqs.0)])
        .append(&logs, 8, |seqs| [(2, 2), (seqs.1, seqs.1)])
        .run(write)
        .await
        .unwrap();
    assert_eq!(cached(&logs, &7), Some(vec![1, 2]));
    assert_eq!(cached(&logs, &8), Some(vec![1, 2, 3]));
}

#[tokio::test]
async fn a_write_that_appends_many_entries_to_one_log_leaves_it_in_memory() {
    let cache = fixture();
    let logs = logs::<u64>(&cache);
    fill(&logs, 7, vec![1], Action::default()).await;
    let write = async { Written::<_, Infallible>::Committed(()) };
    cache
        .manager
        .guard()
        // The order in which they are named does not matter.
        .append(&logs, 7, |()| [(3, 3), (2, 2)])
        .append(&logs, 7, |()| (4..=9).map(|seq| (seq, seq)))
        .run(write)
        .await
        .unwrap();
    assert_eq!(cached(&logs, &7), Some((1..=9).collect()));
    assert_eq!(logs.region().stats().loads, 1);
}

#[tokio::test]
async fn a_write_that_appended_nothing_leaves_the_copy_and_notifies_no_listener() {
    let cache = fixture();
    let logs = logs::<u64>(&cache);
    fill(&logs, 7, vec![1], Action::default()).await;
    let mut listener = logs.region().listen(7);
    let guard = cache.manager.guard().append(&logs, 7, |()| []);
    guard
        .run(async { Written::<_, Infallible>::Committed(()) })
        .await
        .unwrap();
    assert_eq!(cached(&logs, &7), Some(vec![1]));
    assert!(futures_util::FutureExt::now_or_never(listener.rung()).is_none());
}

/// A value that counts its clones.
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Self(self.0.clone())
    }
}

#[tokio::test]
async fn cleanups_bulk_invalidations_and_region_guards_copy_no_value() {
    let cache = fixture();
    let counted = cache
        .manager
        .region_builder("counted", Policy::new(TTL, 10_000));
    let counted: Region<u64, Counted> = counted.printed_keys().build();
    let clones = Arc::new(AtomicUsize::new(0));
    let refill = || {
        (0..1_000).for_each(|key| assert!(counted.insert(key, Counted(clones.clone()))));
    };
    refill();
    assert_eq!(cache.manager.cleanup().await, 0);
    assert_eq!(cache.manager.invalidate_prefix("numbers:"), 0);
    assert_eq!(cache.manager.invalidate_glob("*:1?"), 10);
    assert_eq!(cache.manager.clear_region("counted"), Some(990));
    refill();
    let guard = cache.manager.guard().keys_where(&counted, |key| *key < 500);
    guard.run(commits(1)).await.unwrap();
    cache
        .manager
        .guard()
        .region(&counted)
        .run(commits(1))
        .await
        .unwrap();
    refill();
    cache.manager.set_enabled("counted", false);
    cache.manager.set_enabled("counted", true);
    refill();
    cache.hand.advance(TTL);
    assert_eq!(cache.manager.cleanup().await, 1_000);
    assert_eq!(clones.load(Ordering::SeqCst), 0);
}
