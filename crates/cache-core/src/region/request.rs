//! [`Request`], one read with its own limits.

use std::{fmt, pin::pin, time::Duration};

use futures_util::future::{Either, select};

use super::{
    Region,
    entry::Entry,
    flight::Flight,
    limits::{LoadLimits, Permit},
    loader::{self, LoadError, LoadFailure, LoadResult, Loader, LoaderError},
    miss::Next,
    policy::Key,
    read::{Read, Source},
};
use crate::sync::Arc;

/// One read of a key, with limits that differ from those of its region. [`Region::request`] returns
/// one.
///
/// ```
/// # use cache_core::*;
/// # use std::{convert::Infallible, time::Duration};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LoadError<Infallible>> {
/// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
/// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
/// let read = names
///     .request(7)
///     .timeout(Duration::from_millis(500))
///     .soft_timeout(Duration::from_millis(100))
///     .load_timeout(Duration::from_secs(5))
///     .without_permit()
///     .load(|| async { Ok(Some("Ada")) })
///     .await?;
/// assert_eq!(read.value, Some("Ada"));
/// # Ok(()) }
/// ```
#[must_use = "a request does nothing until it loads"]
pub struct Request<'a, K, V> {
    region: &'a Region<K, V>,
    key: K,
    timeout: Option<Duration>,
    soft_timeout: Option<Duration>,
    limits: LoadLimits,
}

impl<K, V> fmt::Debug for Request<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("region", self.region)
            .field("timeout", &self.timeout)
            .field("soft_timeout", &self.soft_timeout)
            .finish_non_exhaustive()
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns a read of `key` with the limits of the region.
    pub fn request(&self, key: K) -> Request<'_, K, V> {
        Request {
            region: self,
            key,
            timeout: None,
            soft_timeout: self.state.policy.soft_timeout,
            limits: LoadLimits::USUAL,
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Request<'_, K, V> {
    /// Sets how long the read waits. Then it fails with [`LoadError::TimedOut`], or returns the
    /// expired value if the region is fail-safe. The load goes on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how long the read waits if an expired value may be served, as
    /// [`Policy::soft_timeout`](crate::Policy::soft_timeout) does for the region.
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.soft_timeout = Some(timeout);
        self
    }

    /// Shortens the soft timeout by a time that has passed already.
    pub(super) fn after(mut self, waited: Duration) -> Self {
        self.soft_timeout = self.soft_timeout.map(|soft| soft.saturating_sub(waited));
        self
    }

    /// Sets how long the load may take that this read starts. It fails for all its readers then.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = Some(timeout);
        self
    }

    /// Lets the load that this read starts run without a permit, for example for an administrator.
    pub fn without_permit(mut self) -> Self {
        self.limits.permit = Permit::Granted;
        self
    }

    /// Returns the value as [`Region::get_or_load`] does. [`Request`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub async fn load<F, Fut, E>(self, load: F) -> Result<Read<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: LoaderError,
    {
        let loader = loader::one(self.key.clone(), load);
        self.load_by(loader).await
    }

    /// Returns the value as [`Request::load`] does, from a loader that gives it its own TTL and
    /// tags. [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub async fn load_entry<F, Fut, E>(self, load: F) -> Result<Read<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<Entry<V>>, E>> + Send + 'static,
        E: LoaderError,
    {
        let loader = loader::one(self.key.clone(), load);
        self.load_by(loader).await
    }

    /// Returns the value from memory or by this loader. Its type is erased already, so that the
    /// futures of the callers hold it once.
    pub(super) async fn load_by<E: LoaderError>(
        self,
        loader: Loader<K, V>,
    ) -> Result<Read<V>, LoadError<E>> {
        if !self.region.is_enabled() {
            return self.bypass(loader).await;
        }
        let next = self.region.state.read(&self.key, loader, self.limits);
        self.finish(next).await
    }

    /// Reads the source, because the region is switched off or the caller asks for it.
    pub(super) async fn bypass<E: LoaderError>(
        self,
        loader: Loader<K, V>,
    ) -> Result<Read<V>, LoadError<E>> {
        let region = &self.region.state;
        region.counters.bypasses.one();
        if region.is_within_load(&self.key) {
            return Err(LoadError::Nested);
        }
        let flight = region.bypass(&self.key, loader, self.limits);
        match Box::pin(self.wait(flight)).await {
            Waited::For(Ok(row)) => Ok(region.read_of(row, Source::Bypass)),
            Waited::For(Err(failure)) => Err(failure.typed()),
            Waited::Enough(older) => Ok(older),
        }
    }

    /// Returns what was found, or waits for the load.
    pub(super) async fn finish<E: LoaderError>(
        self,
        next: Next<K, V>,
    ) -> Result<Read<V>, LoadError<E>> {
        let (region, key) = (&*self.region.state, &self.key);
        match next {
            Next::Return(read) => {
                region.count_found(key, &read);
                Ok(read)
            }
            Next::Wait(..) if region.is_within_load(key) => Err(LoadError::Nested),
            Next::Wait(flight, source) => {
                let read = match Box::pin(self.wait(flight)).await {
                    Waited::For(result) => region.answer(key, result, source),
                    Waited::Enough(older) => Ok(older),
                };
                read.map_err(LoadFailure::typed)
            }
        }
    }

    /// Waits for a flight, at most as long as the timeouts say. The future is large, so callers put
    /// it in a box: a hit must not make room for it.
    async fn wait(&self, flight: Arc<Flight<K, V>>) -> Waited<V> {
        let clock = &self.region.state.clock;
        let mut landed = pin!(flight.wait());
        if let Some(soft) = self.soft_timeout
            && self.region.state.has_older(&self.key)
        {
            match select(landed.as_mut(), clock.sleep(soft)).await {
                Either::Left((result, _)) => return Waited::For(result),
                Either::Right(_) => {
                    if let Some(older) = self.region.state.older(&self.key) {
                        return Waited::Enough(older);
                    }
                }
            }
        }
        let Some(timeout) = self.timeout else {
            return Waited::For(landed.await);
        };
        match select(landed, clock.sleep(timeout)).await {
            Either::Left((result, _)) => Waited::For(result),
            Either::Right(_) => Waited::For(Err(LoadFailure::TimedOut)),
        }
    }
}

/// The way in which a read stopped waiting for a load.
enum Waited<V> {
    /// The load ended, or the read waits no longer.
    For(LoadResult<V>),
    /// The soft timeout ended, and the region is fail-safe.
    Enough(Read<V>),
}
