//! A cache on a clock set by hand, a source that counts, and work that waits to be told to end.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Builder, Clock, LoadError, Manager, ManualClock, Policy, Read, Region, Runtime, Source, Stats,
    Stores, Written,
};
use futures_util::FutureExt;
use tokio::sync::oneshot;

pub(crate) type Numbers = Region<u64, u64>;
pub(crate) type Reading = Pin<Box<dyn Future<Output = Result<Read<u64>, LoadError>> + Send>>;
/// What a loader gives.
pub(crate) type Loading<E> = Pin<Box<dyn Future<Output = Result<Option<u64>, E>> + Send>>;
pub(crate) type Writing<E> =
    Pin<Box<dyn Future<Output = Result<u64, cache_core::WriteError<E>>> + Send>>;

pub(crate) const TTL: Duration = Duration::from_mins(1);
pub(crate) const NANO: Duration = Duration::from_nanos(1);
/// Where a hang would be the failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A nanosecond less.
pub(crate) fn just_before(duration: Duration) -> Duration {
    duration.checked_sub(NANO).expect("a duration above zero")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source is down")]
pub(crate) struct Down;

/// One manager, its region of numbers and the hand of its clock.
pub(crate) struct Bench {
    pub(crate) manager: Manager,
    pub(crate) numbers: Numbers,
    pub(crate) hand: ManualClock,
    _validated: Validated,
}

pub(crate) fn bench() -> Bench {
    bench_with(Policy::new(TTL, 1_000), |builder| builder)
}

pub(crate) fn bench_with(policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Bench {
    crate::events::install();
    let (clock, hand) = Clock::manual();
    let manager = settings(Manager::builder(Runtime::tokio_with(clock))).build();
    let numbers = manager.region("numbers", policy);
    let validated = Validated(manager.clone());
    Bench {
        manager,
        numbers,
        hand,
        _validated: validated,
    }
}

/// After each test the inner state adds up.
struct Validated(Manager);

impl Drop for Validated {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.validate().unwrap();
        }
    }
}

impl Bench {
    pub(crate) fn stats(&self) -> Stats {
        self.numbers.stats()
    }

    /// Opens a window over key 1 and leaves it open until the gate lets the write commit `value`; it stores its row.
    pub(crate) async fn open_window(&self, value: u64) -> (Writing<Infallible>, Gate) {
        let (mut gate, pass) = gate();
        let writing = begin_write(
            self.manager.guard().key(&self.numbers, 1),
            commits_after(pass, value),
            stores(&self.numbers, 1),
        );
        gate.begun().await;
        (writing, gate)
    }
}

/// Polls once, which is when a read takes its place, and expects it to wait.
pub(crate) fn begin(
    read: impl Future<Output = Result<Read<u64>, LoadError>> + Send + 'static,
) -> Reading {
    let mut read: Reading = Box::pin(read);
    assert!(
        (&mut read).now_or_never().is_none(),
        "the read does not wait"
    );
    read
}

/// A read of `key` that waits.
pub(crate) fn begin_read<F, Fut, E>(region: &Numbers, key: u64, load: F) -> Reading
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<u64>, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let region = region.clone();
    begin(async move { region.get_or_load(key, load).await })
}

/// A write that waits.
pub(crate) fn begin_write<E: Send + std::fmt::Debug + 'static>(
    guard: cache_core::WriteGuard,
    write: impl Future<Output = Written<u64, E>> + Send + 'static,
    store: impl FnOnce(&u64, &mut Stores<'_>) + Send + 'static,
) -> Writing<E> {
    let mut writing: Writing<E> = Box::pin(guard.run(write, store));
    assert!(
        (&mut writing).now_or_never().is_none(),
        "the write does not wait"
    );
    writing
}

/// The test's side of a piece of work.
pub(crate) struct Gate {
    begun: oneshot::Receiver<()>,
    go: oneshot::Sender<()>,
}

/// The work's side.
pub(crate) struct Pass {
    begun: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

pub(crate) fn gate() -> (Gate, Pass) {
    let (begun_sender, begun) = oneshot::channel();
    let (go, go_receiver) = oneshot::channel();
    (
        Gate { begun, go },
        Pass {
            begun: begun_sender,
            go: go_receiver,
        },
    )
}

impl Gate {
    /// Waits until the work has begun.
    pub(crate) async fn begun(&mut self) {
        tokio::time::timeout(PATIENCE, &mut self.begun)
            .await
            .expect("the work begins")
            .expect("the work is not dropped");
    }

    pub(crate) fn has_begun(&mut self) -> bool {
        self.begun.try_recv().is_ok()
    }

    pub(crate) fn open(self) {
        self.go.send(()).expect("the work waits at its gate");
    }

    /// Whether the work went away without having passed.
    pub(crate) fn is_given_up(&self) -> bool {
        self.go.is_closed()
    }
}

impl Pass {
    pub(crate) async fn wait(self) {
        let _ = self.begun.send(());
        let _ = self.go.await;
    }
}

pub(crate) fn gives(
    value: u64,
) -> impl FnOnce() -> Ready<Result<Option<u64>, Infallible>> + Send + 'static {
    move || ready(Ok(Some(value)))
}

pub(crate) fn gives_nothing()
-> impl FnOnce() -> Ready<Result<Option<u64>, Infallible>> + Send + 'static {
    || ready(Ok(None))
}

pub(crate) fn fails() -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
    || ready(Err(Down))
}

/// Fails the test when it is called.
pub(crate) fn unused() -> impl FnOnce() -> Ready<Result<Option<u64>, Infallible>> + Send + 'static {
    || panic!("no load is expected here")
}

/// Gives `value` once the gate is open.
pub(crate) fn gives_after(
    pass: Pass,
    value: impl Into<Option<u64>>,
) -> impl FnOnce() -> Loading<Down> + Send + 'static {
    let value = value.into();
    move || {
        Box::pin(async move {
            pass.wait().await;
            Ok(value)
        })
    }
}

pub(crate) fn fails_after(pass: Pass) -> impl FnOnce() -> Loading<Down> + Send + 'static {
    move || {
        Box::pin(async move {
            pass.wait().await;
            Err(Down)
        })
    }
}

pub(crate) fn commits(value: u64) -> Ready<Written<u64, Infallible>> {
    ready(Written::Committed(value))
}

pub(crate) async fn commits_after(pass: Pass, value: u64) -> Written<u64, Infallible> {
    pass.wait().await;
    Written::Committed(value)
}

pub(crate) fn is_unknown() -> Ready<Written<u64, Down>> {
    ready(Written::Unknown(Down))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what a guard calls")]
pub(crate) fn stores_nothing(_: &u64, _: &mut Stores<'_>) {}

/// Stores the row that the write returned.
pub(crate) fn stores(
    region: &Numbers,
    key: u64,
) -> impl FnOnce(&u64, &mut Stores<'_>) + Send + 'static {
    let region = region.clone();
    move |row, stores| stores.put(&region, key, *row)
}

/// Lets every task that can run do so; on a runtime of one thread some rounds are enough.
pub(crate) async fn all_idle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn value_of(
    reading: impl Future<Output = Result<Read<u64>, LoadError>>,
) -> Option<u64> {
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the read ends")
        .expect("the load succeeds")
        .value
}

/// The value that a read gives and where it came from.
pub(crate) async fn told(
    reading: impl Future<Output = Result<Read<u64>, LoadError>>,
) -> (Option<u64>, Source) {
    let read = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the read ends")
        .expect("the load succeeds");
    (read.value, read.source)
}

/// One row of a primary store, and how often it was read.
#[derive(Clone, Default)]
pub(crate) struct Row(Arc<(AtomicU64, AtomicUsize)>);

impl Row {
    pub(crate) fn holding(value: u64) -> Self {
        Self(Arc::new((AtomicU64::new(value), AtomicUsize::new(0))))
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.0.store(value, Ordering::SeqCst);
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    /// Reads the row at once, and answers at once.
    pub(crate) fn read(
        &self,
    ) -> impl FnOnce() -> Ready<Result<Option<u64>, Infallible>> + Send + 'static {
        let row = self.clone();
        move || {
            row.0.1.fetch_add(1, Ordering::SeqCst);
            ready(Ok(Some(row.0.0.load(Ordering::SeqCst))))
        }
    }

    /// Reads the row when the load begins, and answers once the gate is open.
    pub(crate) fn read_then(
        &self,
        pass: Pass,
    ) -> impl FnOnce() -> Loading<Infallible> + Send + 'static {
        let row = self.clone();
        move || {
            row.0.1.fetch_add(1, Ordering::SeqCst);
            let seen = row.0.0.load(Ordering::SeqCst);
            Box::pin(async move {
                pass.wait().await;
                Ok(Some(seen))
            })
        }
    }
}
