//! A decorator whose calls return late, so that concurrent calls often overlap.

use std::{sync::Arc, time::Duration};

use domain::{Repositories, Result};
use futures_util::future::BoxFuture;

use crate::{
    decorate::{Around, decorate},
    random::Random,
};

/// A decorator that delays the results of half of all calls.
struct SlowAnswers {
    random: Random,
    longest: Duration,
}

/// Wraps a store in random delays. Half of the reads and writes, chosen at random, return up to
/// `longest` after their execution.
pub fn slow(inner: Repositories, longest: Duration, seed: u64) -> Repositories {
    decorate(
        inner,
        Arc::new(SlowAnswers {
            random: Random::new(seed),
            longest,
        }),
    )
}

impl Around for SlowAnswers {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        let answer = read.await;
        self.wait().await;
        answer
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        self.read(write).await
    }
}

impl SlowAnswers {
    async fn wait(&self) {
        if self.random.percent(50) {
            return;
        }
        pause(&self.random, self.longest).await;
    }
}

/// Sleeps for a random time up to `longest`.
///
/// The sleep varies the order in which concurrent calls run. No assertion depends on its length.
pub async fn pause(random: &Random, longest: Duration) {
    let micros = usize::try_from(longest.as_micros()).expect("a pause is short");
    tokio::time::sleep(Duration::from_micros(random.below(micros + 1) as u64)).await;
}
