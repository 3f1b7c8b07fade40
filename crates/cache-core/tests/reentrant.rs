//! A subscriber of events that calls the cache itself. A separate binary, because a subscriber is
//! installed per process.

use std::{
    cell::Cell,
    convert::Infallible,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Manager, Policy, Region, Runtime, Unknown, Written};
use tracing::{Event, Metadata, Subscriber, span};

static EVENTS: AtomicUsize = AtomicUsize::new(0);
static CACHE: OnceLock<(Manager, Region<u64, u64>)> = OnceLock::new();

/// A subscriber that uses the cache at each event.
struct Reentrant;

impl Subscriber for Reentrant {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        thread_local! {
            /// The events of the calls below are not answered by further calls.
            static IS_CALLING: Cell<bool> = const { Cell::new(false) };
        }
        let of_cache = event.metadata().target().starts_with("cache");
        if !of_cache || IS_CALLING.replace(true) {
            return;
        }
        EVENTS.fetch_add(1, Ordering::SeqCst);
        if let Some((manager, region)) = CACHE.get() {
            for key in 0..4 {
                region.get(&key);
                region.insert(key + 10, 1);
                region.remove(&(key + 10));
            }
            manager.stats();
            manager.invalidate_prefix("numbers:99");
        }
        IS_CALLING.set(false);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_may_call_the_cache_at_each_event() {
    let manager = Manager::builder(Runtime::tokio(), Unknown::After(Duration::ZERO)).build();
    let policy = Policy::new(Duration::from_mins(1), 2);
    let region = manager.region::<u64, u64>("numbers", policy);
    assert!(CACHE.set((manager.clone(), region.clone())).is_ok());
    tracing::subscriber::set_global_default(Reentrant).unwrap();
    for key in 0..20 {
        let load = move || async move { Ok::<_, Infallible>(Some(key)) };
        region.get_or_load(key, load).await.unwrap();
        let fails = || async { Err::<Option<u64>, _>("down") };
        region.get_or_load(key + 100, fails).await.unwrap_err();
        let write = async move { Written::<_, Infallible>::Committed(key) };
        let guard = manager.guard().key_storing(&region, key, |row| Some(*row));
        guard.run(write).await.unwrap();
        let lost = async { Written::<(), _>::Unknown("lost") };
        let guard = manager.guard().region(&region);
        guard.run(lost).await.unwrap_err();
        manager.settle().await.unwrap();
        region.remove(&key);
    }
    manager.cleanup().await;
    manager.clear();
    assert!(manager.set_enabled("numbers", false));
    assert!(manager.set_enabled("numbers", true));
    let events = EVENTS.load(Ordering::SeqCst);
    assert!(events > 20, "{events} events");
}
