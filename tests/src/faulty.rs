//! A decorator that injects faults into a store: calls fail, hang or return late, and writes are
//! committed although they report an error.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{Error, Repositories, Result, Settle};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    decorate::{Around, decorate},
    random::Random,
    slow::pause,
};

/// Upper bounds of the random delay between the execution of a call and its return.
///
/// With long delays, several writes can run during one read, and several reads during one write.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerDelay {
    /// The upper bound for reads.
    pub reads: Duration,
    /// The upper bound for writes.
    pub writes: Duration,
}

/// A source of random faults, with switches that stop or control them. Clones share the switches.
#[derive(Clone)]
pub struct StoreFaults {
    random: Arc<Random>,
    /// The percentage of calls that fail.
    percent: usize,
    delay: AnswerDelay,
    /// True once faults are stopped. Calls that hang then return.
    is_calm: watch::Sender<bool>,
    /// The number of writes that are still to be applied, although their callers did not get the
    /// result.
    pending: watch::Sender<usize>,
    /// True while pending writes may be applied.
    may_apply: watch::Sender<bool>,
    /// True while every new write becomes pending.
    holds_writes: watch::Sender<bool>,
}

/// The fault that is drawn for one write.
enum WriteFault {
    /// The write succeeds.
    None,
    /// The write is refused and not applied.
    Refused,
    /// The write is not applied. The call hangs until faults are stopped, then fails.
    Hangs,
    /// The write is applied, and its caller gets an error of unknown outcome.
    LosesAnswer,
    /// The write is not applied, and its caller gets an error of unknown outcome.
    LosesWrite,
    /// The write is applied after its caller got an error of unknown outcome.
    AppliesLate,
    /// The write is applied later. The call hangs until faults are stopped, then returns an error
    /// of unknown outcome.
    HangsAndAppliesLate,
    /// The write is applied. The call hangs until faults are stopped, then returns the result.
    AnswersLate,
}

impl StoreFaults {
    /// Creates a source of faults in `percent` percent of the calls. In addition, half of the reads
    /// and half of the writes return after a random delay of at most `delay`.
    pub fn new(seed: u64, percent: usize, delay: AnswerDelay) -> Self {
        Self {
            random: Arc::new(Random::new(seed)),
            percent,
            delay,
            is_calm: watch::Sender::new(false),
            pending: watch::Sender::new(0),
            may_apply: watch::Sender::new(true),
            holds_writes: watch::Sender::new(false),
        }
    }

    /// Wraps a store in these faults. The returned store settles once no pending write is left.
    pub fn plant(&self, inner: Repositories) -> Repositories {
        let settle = Arc::new(FaultySettle {
            faults: self.clone(),
            inner: inner.settle.clone(),
        });
        Repositories {
            settle,
            ..decorate(inner, Arc::new(self.clone()))
        }
    }

    /// Stops all faults.
    pub fn stop(&self) {
        self.is_calm.send_replace(true);
    }

    /// Holds all writes from now on. Each write becomes pending, and its caller gets an error of
    /// unknown outcome at once.
    pub fn hold_writes(&self) {
        self.may_apply.send_replace(false);
        self.holds_writes.send_replace(true);
    }

    /// Applies the held writes, and returns when all are applied.
    pub async fn apply_held_writes(&self) {
        self.holds_writes.send_replace(false);
        self.may_apply.send_replace(true);
        self.wait_for_pending().await;
    }

    async fn wait_for_pending(&self) {
        wait_for(&self.pending, |pending| *pending == 0).await;
    }

    fn draw_failure(&self) -> bool {
        self.random.percent(self.percent) && !*self.is_calm.borrow()
    }

    fn draw_write_fault(&self) -> WriteFault {
        if *self.holds_writes.borrow() {
            return WriteFault::AppliesLate;
        }
        if !self.draw_failure() {
            return WriteFault::None;
        }
        match self.random.below(7) {
            0 => WriteFault::Refused,
            1 => WriteFault::Hangs,
            2 => WriteFault::LosesAnswer,
            3 => WriteFault::LosesWrite,
            4 => WriteFault::AppliesLate,
            5 => WriteFault::HangsAndAppliesLate,
            _ => WriteFault::AnswersLate,
        }
    }

    /// Pauses for a random time before a call, so that later calls may overtake it.
    async fn pause_before(&self) {
        pause(&self.random, Duration::from_micros(300)).await;
    }

    /// Pauses for a random time of at most `longest` after half of the calls.
    async fn pause_after(&self, longest: Duration) {
        if self.random.percent(50) {
            pause(&self.random, longest).await;
        }
    }

    /// Waits until faults have stopped.
    async fn hang(&self) {
        wait_for(&self.is_calm, |is_calm| *is_calm).await;
    }

    fn apply_late<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) {
        self.pending.send_modify(|pending| *pending += 1);
        let faults = self.clone();
        tokio::spawn(async move {
            pause(&faults.random, Duration::from_millis(10)).await;
            wait_for(&faults.may_apply, |may_apply| *may_apply).await;
            drop(write.await);
            faults.pending.send_modify(|pending| *pending -= 1);
        });
    }
}

/// Waits until the current value of `sender` meets a condition.
async fn wait_for<T>(sender: &watch::Sender<T>, condition: impl FnMut(&T) -> bool) {
    let mut receiver = sender.subscribe();
    let reached = receiver.wait_for(condition).await;
    drop(reached.expect("the sender is borrowed meanwhile"));
}

fn failed<T>() -> Result<T> {
    Err(Error::unavailable("a planted failure"))
}

fn outcome_unknown<T>() -> Result<T> {
    Err(Error::unknown("a planted loss of the answer"))
}

impl Around for StoreFaults {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        self.pause_before().await;
        if self.draw_failure() {
            if self.random.percent(50) {
                self.hang().await;
            }
            return failed();
        }
        let answer = read.await;
        if self.draw_failure() {
            self.hang().await;
        }
        self.pause_after(self.delay.reads).await;
        answer
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        // If the caller gives up during this pause, the write never begins.
        self.pause_before().await;
        match self.draw_write_fault() {
            WriteFault::None => {
                let answer = write.await;
                self.pause_after(self.delay.writes).await;
                answer
            }
            WriteFault::Refused => failed(),
            WriteFault::Hangs => {
                self.hang().await;
                failed()
            }
            WriteFault::LosesAnswer => write.await.and_then(|_| outcome_unknown()),
            WriteFault::LosesWrite => outcome_unknown(),
            WriteFault::AppliesLate => {
                self.apply_late(write);
                outcome_unknown()
            }
            WriteFault::HangsAndAppliesLate => {
                self.apply_late(write);
                self.hang().await;
                outcome_unknown()
            }
            WriteFault::AnswersLate => {
                let answer = write.await;
                self.hang().await;
                answer
            }
        }
    }
}

struct FaultySettle {
    faults: StoreFaults,
    inner: Arc<dyn Settle>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for FaultySettle {
    async fn settle(&self) -> Result<()> {
        if self.faults.draw_failure() {
            if self.faults.random.percent(50) {
                self.faults.hang().await;
            }
            return failed();
        }
        self.faults.wait_for_pending().await;
        self.inner.settle().await
    }
}
