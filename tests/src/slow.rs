//! A store whose answers take their time, so that what overlaps rarely overlaps often.

use std::{sync::Arc, time::Duration};

use domain::{Repositories, Result};
use futures_util::future::BoxFuture;

use crate::{
    decorate::{Around, decorate},
    random::Random,
};

struct Slow {
    random: Random,
    most: Duration,
}

/// `inner`, where every other read and write, by chance, waits for a random time up to `most` after it was done and
/// before it is answered.
pub fn slow(inner: Repositories, most: Duration, seed: u64) -> Repositories {
    decorate(
        inner,
        Arc::new(Slow {
            random: Random::new(seed),
            most,
        }),
    )
}

impl Around for Slow {
    async fn read<'a, T: Send + 'a>(&'a self, read: BoxFuture<'a, Result<T>>) -> Result<T> {
        let answer = read.await;
        self.wait().await;
        answer
    }

    async fn write<T: Send + 'static>(&self, write: BoxFuture<'static, Result<T>>) -> Result<T> {
        self.read(write).await
    }
}

impl Slow {
    async fn wait(&self) {
        if self.random.percent(50) {
            return;
        }
        pause(&self.random, self.most).await;
    }
}

/// Waits for a random time up to `most`.
pub async fn pause(random: &Random, most: Duration) {
    let micros = usize::try_from(most.as_micros()).expect("it is short");
    tokio::time::sleep(Duration::from_micros(random.below(micros + 1) as u64)).await;
}
