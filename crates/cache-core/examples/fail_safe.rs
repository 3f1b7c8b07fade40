//! Fail-safe: while the source is down or slow, reads return the expired value.
//!
//! The clock is moved by hand, so that the program need not wait for a TTL or a timeout.
//!
//! Run it with `cargo run -p greenroom-cache-core --example fail_safe`.

use std::{
    error::Error,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Clock, LoadError, Manager, Policy, Region, Runtime, Source, Unknown};
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_secs(60);
const SOFT_TIMEOUT: Duration = Duration::from_millis(200);
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An exchange rate, and the behavior of the service that it comes from.
#[derive(Clone)]
struct Rates {
    cache: Region<&'static str, u32>,
    service: Arc<Mutex<Service>>,
    requests: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Service {
    Up(u32),
    Down,
    /// Responds when it is notified.
    Slow(u32, Arc<Notify>),
}

impl Rates {
    async fn read(&self) -> Result<(u32, Source), LoadError<io::Error>> {
        let service = self.service.lock().unwrap().clone();
        let requests = self.requests.clone();
        let load = || async move {
            requests.fetch_add(1, Ordering::Relaxed);
            match service {
                Service::Up(rate) => Ok(Some(rate)),
                Service::Down => Err(io::ErrorKind::ConnectionRefused.into()),
                Service::Slow(rate, response) => {
                    response.notified().await;
                    Ok(Some(rate))
                }
            }
        };
        let read = self.cache.get_or_load("EUR/USD", load).await?;
        Ok((read.value.unwrap_or(0), read.source))
    }

    fn set(&self, service: Service) {
        *self.service.lock().unwrap() = service;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clock, hand) = Clock::manual();
    let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
    let policy = Policy::new(MINUTE, 100)
        .fail_safe(60 * MINUTE)
        .retry_after(RETRY_AFTER)
        .soft_timeout(SOFT_TIMEOUT);
    let rates = Rates {
        cache: manager.region("rates", policy),
        service: Arc::new(Mutex::new(Service::Up(108))),
        requests: Arc::default(),
    };
    let requests = || rates.requests.load(Ordering::Relaxed);
    assert_eq!(rates.read().await?, (108, Source::Loaded));

    // The value has expired and its load fails: the read returns it, marked as stale.
    rates.set(Service::Down);
    hand.advance(MINUTE);
    assert_eq!(rates.read().await?, (108, Source::Stale));
    assert_eq!(requests(), 2);

    // No load is tried for five seconds after the failure, and then one is.
    rates.read().await?;
    assert_eq!(requests(), 2);
    hand.advance(RETRY_AFTER);
    rates.read().await?;
    assert_eq!(requests(), 3);

    // The service is slow: the read waits for the soft timeout only, and the load goes on.
    let response = Arc::new(Notify::new());
    rates.set(Service::Slow(109, response.clone()));
    hand.advance(RETRY_AFTER);
    let (read, ()) = tokio::join!(rates.read(), async { hand.advance(SOFT_TIMEOUT) });
    assert_eq!(read?, (108, Source::Stale));
    response.notify_one();
    assert_eq!(rates.read().await?, (109, Source::Joined));

    // The bound of fail-safe has passed, too: the read fails with the error of the service.
    rates.set(Service::Down);
    hand.advance(61 * MINUTE);
    let error = rates.read().await.unwrap_err();
    let stale = rates.cache.stats().stale_served;
    println!("{stale} stale reads, then: {error}");
    assert!(error.failed().is_some() && stale == 4);
    Ok(())
}
