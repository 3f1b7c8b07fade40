//! A store that fails, hangs, answers late, or commits and then reports an error.

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

/// How much goes wrong, and when it ends. Shared by cloning.
#[derive(Clone)]
pub struct Faults {
    random: Arc<Random>,
    /// Of a hundred calls, so many go wrong.
    percent: usize,
    /// Reads, and writes, are answered up to so long after they were done.
    lag: (Duration, Duration),
    /// Nothing goes wrong any more, and what hangs ends.
    calm: watch::Sender<bool>,
    /// Writes whose callers were told an error and that are yet to land.
    late: watch::Sender<usize>,
    /// Late writes land when this is true.
    lands: watch::Sender<bool>,
    /// Every write is late.
    holds: watch::Sender<bool>,
}

/// What goes wrong with a write.
enum Wrong {
    Nothing,
    /// It is refused and does not happen.
    Fails,
    /// It does not happen, and nobody is told.
    Hangs,
    /// It happens, and its caller is told that nobody knows.
    LosesAnswer,
    /// It does not happen, and its caller is told that nobody knows.
    IsLost,
    /// Its caller is told that nobody knows; then it happens.
    LandsLate,
    /// It happens some time after, and nobody is told.
    HangsAndLands,
    /// It happens, and nobody is told for long.
    AnswersLate,
}

impl Faults {
    /// Faults in so many of a hundred calls. Half of the reads, and of the writes, are answered up to `lag` after they
    /// were done: whole writes happen while a slow read is under way, whole reads before a slow write is acknowledged.
    pub fn new(seed: u64, percent: usize, lag: (Duration, Duration)) -> Self {
        let (calm, late) = (watch::Sender::new(false), watch::Sender::new(0));
        let (lands, holds) = (watch::Sender::new(true), watch::Sender::new(false));
        Self {
            random: Arc::new(Random::new(seed)),
            percent,
            lag,
            calm,
            late,
            lands,
            holds,
        }
    }

    /// `inner` with these faults. It settles when nothing late can land any more.
    pub fn plant(&self, inner: Repositories) -> Repositories {
        let settle = Arc::new(Settling {
            faults: self.clone(),
            inner: inner.settle.clone(),
        });
        Repositories {
            settle,
            ..decorate(inner, Arc::new(self.clone()))
        }
    }

    /// Ends all faults.
    pub fn calm(&self) {
        self.calm.send_replace(true);
    }

    /// From now on, the answer of each write is lost at once, and the write is held.
    pub fn hold_writes(&self) {
        self.lands.send_replace(false);
        self.holds.send_replace(true);
    }

    /// Lets the held writes land, and returns when they have.
    pub async fn land_writes(&self) {
        self.holds.send_replace(false);
        self.lands.send_replace(true);
        self.landed().await;
    }

    async fn landed(&self) {
        self.late
            .subscribe()
            .wait_for(|late| *late == 0)
            .await
            .expect("its sender is in self");
    }

    fn goes_wrong(&self) -> bool {
        self.random.percent(self.percent) && !*self.calm.borrow()
    }

    fn draw(&self) -> Wrong {
        if *self.holds.borrow() {
            return Wrong::LandsLate;
        }
        if !self.goes_wrong() {
            return Wrong::Nothing;
        }
        match self.random.below(7) {
            0 => Wrong::Fails,
            1 => Wrong::Hangs,
            2 => Wrong::LosesAnswer,
            3 => Wrong::IsLost,
            4 => Wrong::LandsLate,
            5 => Wrong::HangsAndLands,
            _ => Wrong::AnswersLate,
        }
    }

    /// Before a call is done: others overtake it.
    async fn wait(&self) {
        pause(&self.random, Duration::from_micros(300)).await;
    }

    /// After it was done.
    async fn lag(&self, most: Duration) {
        if self.random.percent(50) {
            pause(&self.random, most).await;
        }
    }

    /// Until everything is calm.
    async fn hang(&self) {
        self.calm
            .subscribe()
            .wait_for(|calm| *calm)
            .await
            .expect("its sender is in self");
    }

    fn do_late<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) {
        self.late.send_modify(|late| *late += 1);
        let faults = self.clone();
        tokio::spawn(async move {
            pause(&faults.random, Duration::from_millis(10)).await;
            faults
                .lands
                .subscribe()
                .wait_for(|lands| *lands)
                .await
                .expect("its sender is in faults");
            drop(write.await);
            faults.late.send_modify(|late| *late -= 1);
        });
    }
}

fn failed<T>() -> Result<T> {
    Err(Error::unavailable("a planted failure"))
}

fn lost<T>() -> Result<T> {
    Err(Error::unknown("a planted loss of the answer"))
}

impl Around for Faults {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        self.wait().await;
        if self.goes_wrong() {
            if self.random.percent(50) {
                self.hang().await;
            }
            return failed();
        }
        let answer = read.await;
        if self.goes_wrong() {
            self.hang().await;
        }
        self.lag(self.lag.0).await;
        answer
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        // Given up while it waits here, it never happens.
        self.wait().await;
        match self.draw() {
            Wrong::Nothing => {
                let answer = write.await;
                self.lag(self.lag.1).await;
                answer
            }
            Wrong::Fails => failed(),
            Wrong::Hangs => {
                self.hang().await;
                failed()
            }
            Wrong::LosesAnswer => write.await.and_then(|_| lost()),
            Wrong::IsLost => lost(),
            Wrong::LandsLate => {
                self.do_late(write);
                lost()
            }
            Wrong::HangsAndLands => {
                self.do_late(write);
                self.hang().await;
                lost()
            }
            Wrong::AnswersLate => {
                let answer = write.await;
                self.hang().await;
                answer
            }
        }
    }
}

struct Settling {
    faults: Faults,
    inner: Arc<dyn Settle>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for Settling {
    async fn settle(&self) -> Result<()> {
        if self.faults.goes_wrong() {
            if self.faults.random.percent(50) {
                self.faults.hang().await;
            }
            return failed();
        }
        self.faults.landed().await;
        self.inner.settle().await
    }
}
