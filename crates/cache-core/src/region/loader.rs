//! Loaders and what they return: rows, or the reason why there are none.

use std::error::Error;

use futures_util::{FutureExt, future::BoxFuture};

use crate::{clock::Nanos, sync::Arc};

/// The reason why a load returned no value. Every caller that waited for the load receives it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The loader failed. [`LoadError::source_as`] returns its error.
    #[error(transparent)]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The load took longer than the load timeout of the manager. Waiting for a permit counts.
    #[error("the load timed out")]
    TimedOut,
    /// The loader panicked, or code of the key or the value did: its weigher, [`Fold`], `Clone`,
    /// `Hash`, `Eq` or `Drop`.
    ///
    /// [`Fold`]: crate::Fold
    #[error("the load panicked")]
    Panicked,
    /// The load's task was dropped, for example because the runtime shut down.
    #[error("the load was given up")]
    GivenUp,
    /// Too many loads waited for a permit. The loader did not run.
    #[error("too many loads wait for a permit")]
    Overloaded,
    /// A loader read the key that it loads, and would have waited for itself.
    #[error("a load waits for itself")]
    Nested,
}

impl LoadError {
    pub(crate) fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }

    /// Returns the error of the loader if it is an `E`.
    ///
    /// ```
    /// # use cache_core::{Manager, Policy, Runtime, Unknown};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, String>("names", policy);
    /// let error = names.get_or_load(7, || async { Err(std::fmt::Error) }).await.unwrap_err();
    /// assert_eq!(error.source_as(), Some(&std::fmt::Error));
    /// # }
    /// ```
    pub fn source_as<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

/// A value that was read from the source, or its absence.
#[derive(Clone)]
pub(crate) struct Loaded<V> {
    pub(crate) value: Option<V>,
    /// The time at which the load began: the value may be older than its arrival.
    pub(crate) at: Nanos,
}

pub(crate) type LoadResult<V> = Result<Loaded<V>, LoadError>;

/// The rows that a loader found. A requested key without a row has no value.
pub(crate) type Rows<K, V> = Result<Vec<(K, V)>, LoadError>;

/// A loader with its types erased: it reads the given keys from the source.
pub(crate) type Loader<K, V> = Box<dyn FnOnce(Vec<K>) -> BoxFuture<'static, Rows<K, V>> + Send>;

/// Erases the type of a loader that reads one key.
pub(crate) fn one<K, V, F, Fut, E>(key: K, load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Box::new(move |_| {
        async move {
            let value = load().await.map_err(LoadError::failed)?;
            Ok(value.map(|value| (key, value)).into_iter().collect())
        }
        .boxed()
    })
}

/// Erases the type of a loader that reads many keys.
pub(crate) fn many<K, V, F, Fut, E>(load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce(Vec<K>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Box::new(move |keys| async move { load(keys).await.map_err(LoadError::failed) }.boxed())
}
