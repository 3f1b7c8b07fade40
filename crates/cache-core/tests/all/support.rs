//! A cache with a manual clock, a source that counts its reads, and work that a test holds and
//! releases.

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

#[cfg(feature = "faults")]
pub(crate) use cache_core::Fault;
use cache_core::{
    Builder, Clock, LoadError, LoaderError, Manager, ManualClock, Policy, Read, Region, Runtime,
    Source, Stats, Unknown, WriteError, WriteGuard, Written,
};
use futures_util::FutureExt;
use tokio::sync::oneshot;

pub(crate) type Numbers = Region<u64, u64>;
pub(crate) type ReadFuture<E = Down> =
    Pin<Box<dyn Future<Output = Result<Read<u64>, LoadError<E>>> + Send>>;
/// The error of a read whose loader fails with [`Down`], if at all.
pub(crate) type ReadError = LoadError<Down>;
/// The future of a loader.
pub(crate) type LoadFuture<E> = Pin<Box<dyn Future<Output = Result<Option<u64>, E>> + Send>>;
pub(crate) type WriteFuture<E> = Pin<Box<dyn Future<Output = Result<u64, WriteError<E>>> + Send>>;

pub(crate) const TTL: Duration = Duration::from_secs(60);
pub(crate) const NANO: Duration = Duration::from_nanos(1);
/// How long a test waits for something that must happen, before it fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Returns one nanosecond less.
pub(crate) fn just_before(duration: Duration) -> Duration {
    duration.checked_sub(NANO).expect("a duration above zero")
}

/// A stand-in for `cache_core::Fault`, which exists only with the feature `faults`.
#[cfg(not(feature = "faults"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
}

/// Plants a fault. Without the feature `faults`, the only fault is [`Fault::None`].
pub(crate) fn plant(builder: Builder, fault: Fault) -> Builder {
    #[cfg(feature = "faults")]
    return builder.fault(fault);
    #[cfg(not(feature = "faults"))]
    match fault {
        Fault::None => builder,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source is down")]
pub(crate) struct Down;

/// A manager with one region of numbers, and the hand of its clock.
pub(crate) struct Fixture {
    pub(crate) manager: Manager,
    pub(crate) numbers: Numbers,
    pub(crate) hand: ManualClock,
    _validation: Validation,
}

pub(crate) fn fixture() -> Fixture {
    fixture_with(Policy::new(TTL, 1_000), |builder| builder)
}

pub(crate) fn fixture_with(policy: Policy, settings: impl FnOnce(Builder) -> Builder) -> Fixture {
    fixture_of(policy, Unknown::Never, settings)
}

pub(crate) fn fixture_of(
    policy: Policy,
    unknown: Unknown,
    settings: impl FnOnce(Builder) -> Builder,
) -> Fixture {
    testkit::events::install(tracing::Level::TRACE);
    let (clock, hand) = Clock::manual();
    let manager = settings(Manager::builder(Runtime::tokio_with(clock), unknown)).build();
    let numbers = manager.region_builder("numbers", policy);
    let numbers = numbers.printed_keys().build();
    let validation = Validation {
        #[cfg(feature = "internals")]
        manager: manager.clone(),
    };
    Fixture {
        manager,
        numbers,
        hand,
        _validation: validation,
    }
}

/// A guard that checks the state of the cache when a test ends. Without the feature `internals`, it
/// does nothing.
struct Validation {
    #[cfg(feature = "internals")]
    manager: Manager,
}

#[cfg(feature = "internals")]
impl Drop for Validation {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.manager.validate().unwrap();
        }
    }
}

impl Fixture {
    pub(crate) fn stats(&self) -> Stats {
        self.numbers.stats()
    }

    /// Writes `value` to `key` in the source, and stores it in the cache when the write ends.
    pub(crate) async fn write(&self, key: u64, value: u64) {
        self.manager
            .guard()
            .key_storing(&self.numbers, key, |row| Some(*row))
            .run(commits(value))
            .await
            .unwrap();
    }

    /// Writes `value` to `key` in the source, and stores nothing in the cache.
    pub(crate) async fn write_without_row(&self, key: u64, value: u64) {
        self.manager
            .guard()
            .key(&self.numbers, key)
            .run(commits(value))
            .await
            .unwrap();
    }

    /// Runs a write of `key` whose outcome is unknown.
    pub(crate) async fn lose_write(&self, key: u64) {
        self.manager
            .guard()
            .key(&self.numbers, key)
            .run(unknown_outcome())
            .await
            .unwrap_err();
    }

    /// Opens a window over key 1. It stays open until the gate lets the write commit `value`, whose
    /// row is then stored.
    pub(crate) async fn open_window(&self, value: u64) -> (WriteFuture<Infallible>, Gate) {
        let (mut gate, pass) = gate();
        let writing = begin_write(
            self.manager
                .guard()
                .key_storing(&self.numbers, 1, |row| Some(*row)),
            commits_after(pass, value),
        );
        gate.begun().await;
        (writing, gate)
    }
}

/// Polls a read once, which is when it joins or starts a load, and expects it to wait.
pub(crate) fn begin<E>(
    read: impl Future<Output = Result<Read<u64>, LoadError<E>>> + Send + 'static,
) -> ReadFuture<E> {
    let mut read: ReadFuture<E> = Box::pin(read);
    assert!(
        read.as_mut().now_or_never().is_none(),
        "the read did not wait"
    );
    read
}

/// Begins a read of `key` by polling it once. Asserts that the read is still pending.
pub(crate) fn begin_read<F, Fut, E>(region: &Numbers, key: u64, load: F) -> ReadFuture<E>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<u64>, E>> + Send + 'static,
    E: LoaderError,
{
    let region = region.clone();
    begin(async move { region.get_or_load(key, load).await })
}

/// Begins a write by polling it once. Asserts that the write is still pending.
pub(crate) fn begin_write<E: Send + std::fmt::Debug + 'static>(
    guard: WriteGuard<u64>,
    write: impl Future<Output = Written<u64, E>> + Send + 'static,
) -> WriteFuture<E> {
    let mut writing: WriteFuture<E> = Box::pin(guard.run(write));
    assert!(
        (&mut writing).now_or_never().is_none(),
        "the write did not wait"
    );
    writing
}

/// The test's handle to a load or write that pauses at its [`Pass`] until the test opens the gate.
pub(crate) struct Gate {
    begun: oneshot::Receiver<()>,
    go: oneshot::Sender<()>,
}

/// The other half of a [`Gate`], at which a load or write pauses until the gate is opened.
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
            .expect("the work did not begin")
            .expect("the work was dropped");
    }

    pub(crate) fn has_begun(&mut self) -> bool {
        self.begun.try_recv().is_ok()
    }

    pub(crate) fn open(self) {
        self.go.send(()).expect("the work was dropped");
    }

    /// Returns `true` if the work was dropped while it waited.
    pub(crate) fn is_dropped(&self) -> bool {
        self.go.is_closed()
    }
}

impl Pass {
    pub(crate) async fn wait(self) {
        let _ = self.begun.send(());
        let _ = self.go.await;
    }
}

pub(crate) fn returns(
    value: u64,
) -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
    move || ready(Ok(Some(value)))
}

pub(crate) fn returns_none() -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
    || ready(Ok(None))
}

pub(crate) fn fails() -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
    || ready(Err(Down))
}

/// Returns a loader that fails the test when it is called.
pub(crate) fn never_called() -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
    || panic!("the loader was called")
}

/// Returns a loader that returns `value` once the gate is open.
pub(crate) fn returns_after(
    pass: Pass,
    value: impl Into<Option<u64>>,
) -> impl FnOnce() -> LoadFuture<Down> + Send + 'static {
    let value = value.into();
    move || {
        Box::pin(async move {
            pass.wait().await;
            Ok(value)
        })
    }
}

pub(crate) fn fails_after(pass: Pass) -> impl FnOnce() -> LoadFuture<Down> + Send + 'static {
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

pub(crate) fn unknown_outcome() -> Ready<Written<u64, Down>> {
    ready(Written::Unknown(Down))
}

/// Runs every task that is ready. On a runtime of one thread, 50 rounds are more than any test
/// needs.
pub(crate) async fn run_tasks() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn value_of<E: std::fmt::Debug>(
    reading: impl Future<Output = Result<Read<u64>, LoadError<E>>>,
) -> Option<u64> {
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the read did not end")
        .expect("the load failed")
        .value
}

/// Returns the value of a read and where it came from.
pub(crate) async fn value_and_source<E: std::fmt::Debug>(
    reading: impl Future<Output = Result<Read<u64>, LoadError<E>>>,
) -> (Option<u64>, Source) {
    let read = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the read did not end")
        .expect("the load failed");
    (read.value, read.source)
}

/// One row of the source, and the number of its reads.
#[derive(Clone, Default)]
pub(crate) struct Row(Arc<RowState>);

#[derive(Default)]
struct RowState {
    value: AtomicU64,
    reads: AtomicUsize,
}

impl Row {
    pub(crate) fn holding(value: u64) -> Self {
        Self(Arc::new(RowState {
            value: AtomicU64::new(value),
            reads: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.value.store(value, Ordering::SeqCst);
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// Returns a loader that reads the row at once.
    pub(crate) fn read(
        &self,
    ) -> impl FnOnce() -> Ready<Result<Option<u64>, Down>> + Send + 'static {
        let row = self.clone();
        move || {
            row.0.reads.fetch_add(1, Ordering::SeqCst);
            ready(Ok(Some(row.0.value.load(Ordering::SeqCst))))
        }
    }

    /// Returns a loader that reads the row when it begins, and returns once the gate is open.
    pub(crate) fn read_then(
        &self,
        pass: Pass,
    ) -> impl FnOnce() -> LoadFuture<Down> + Send + 'static {
        let row = self.clone();
        move || {
            row.0.reads.fetch_add(1, Ordering::SeqCst);
            let value = row.0.value.load(Ordering::SeqCst);
            Box::pin(async move {
                pass.wait().await;
                Ok(Some(value))
            })
        }
    }
}
