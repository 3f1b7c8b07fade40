//! Batch reads: one query loads the keys that are missing, and each value may have its own TTL.
//!
//! Run it with `cargo run -p greenroom-cache-core --example batch`.

use std::{
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_core::{Entry, LoadError, Manager, Policy, Read, Region, Runtime, Source, Unknown};

/// The prices of products, and the queries that were sent to the source.
#[derive(Clone)]
struct Prices {
    cache: Region<u32, u64>,
    queries: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Prices {
    /// Returns the prices in the order of `ids`.
    async fn read(&self, ids: &[u32]) -> Result<Vec<Read<u64>>, LoadError<Infallible>> {
        let queries = self.queries.clone();
        // Stands for `SELECT … WHERE id IN (…)`. The ids are those that are missing.
        let load = |missing: Vec<u32>| async move {
            let rows = missing.iter().filter(|id| **id < 100);
            let rows = rows.map(|id| (*id, price_of(*id))).collect();
            queries.lock().unwrap().push(missing);
            Ok(rows)
        };
        self.cache.get_or_load_entries(ids, load).await
    }

    /// Returns the queries that were sent since the last call.
    fn queries(&self) -> Vec<Vec<u32>> {
        std::mem::take(&mut *self.queries.lock().unwrap())
    }
}

/// Prices of products with an even id change often, so that they are cached for a second.
fn price_of(id: u32) -> Entry<u64> {
    let entry = Entry::new(u64::from(id) * 10);
    if id.is_multiple_of(2) {
        entry.ttl(Duration::from_secs(1))
    } else {
        entry
    }
}

fn values(reads: &[Read<u64>]) -> Vec<Option<u64>> {
    reads.iter().map(|read| read.value).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A clock that the program moves, so that it need not wait for the TTL.
    let (clock, hand) = cache_core::Clock::manual();
    let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 10_000);
    let prices = Prices {
        cache: manager.region("prices", policy),
        queries: Arc::default(),
    };

    // Results are in the order of the keys. A key that is named twice is loaded once.
    let reads = prices.read(&[3, 2, 3]).await?;
    assert_eq!(values(&reads), [Some(30), Some(20), Some(30)]);
    assert_eq!(prices.queries(), [[3, 2]]);

    // Only the missing keys are loaded. Product 100 does not exist.
    let reads = prices.read(&[1, 2, 3, 100]).await?;
    assert_eq!(values(&reads), [Some(10), Some(20), Some(30), None]);
    assert_eq!(reads[1].source, Source::Hit);
    assert_eq!(prices.queries(), [[1, 100]]);

    // The absence of product 100 is cached. A batch of hits sends no query.
    prices.read(&[100, 1]).await?;
    assert!(prices.queries().is_empty());

    // After a second, the value with the short TTL has expired.
    hand.advance(Duration::from_secs(1));
    prices.read(&[1, 2, 3]).await?;
    assert_eq!(prices.queries(), [[2]]);

    // Without an await, and without cloning what the caller does not need.
    let sum = prices
        .cache
        .look_up_many(&[1, 2, 3], |_, price, _age| price);
    assert_eq!(sum.map(|prices| prices.iter().sum::<u64>()), Some(60));
    println!("three queries for five batches");
    Ok(())
}
