//! Loaders and what they return: rows, or the reason why there are none.

use std::{any::Any, error::Error, fmt};

use futures_util::{FutureExt, future::BoxFuture};

use super::entry::Entry;
use crate::{clock::Nanos, sync::Arc};

/// The reason why a load returned no value. Every caller that waited for the load receives it.
///
/// `E` is the error of the loader.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed. All readers that shared the load share its error.
    Failed(Arc<E>),
    /// The loader of another reader, whose load this one shared, failed with an error of another
    /// type. This is its text.
    OtherType(Arc<str>),
    /// The load, or the wait for it, took longer than its timeout. Waiting for a permit counts.
    TimedOut,
    /// The loader panicked, or code of the key or the value did: its weigher, [`Fold`], `Clone`,
    /// `Hash`, `Eq` or `Drop`.
    ///
    /// [`Fold`]: crate::Fold
    Panicked,
    /// The load's task was dropped, for example because the runtime shut down.
    GivenUp,
    /// Too many loads waited for a permit. The loader did not run.
    Overloaded,
    /// A loader read the key that it loads, and would have waited for itself.
    Nested,
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::OtherType(text) => Self::OtherType(text.clone()),
            Self::TimedOut => Self::TimedOut,
            Self::Panicked => Self::Panicked,
            Self::GivenUp => Self::GivenUp,
            Self::Overloaded => Self::Overloaded,
            Self::Nested => Self::Nested,
        }
    }
}

/// Displays the error of the loader, or the reason why there is none.
impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::OtherType(text) => f.write_str(text),
            Self::TimedOut => f.write_str("the load timed out"),
            Self::Panicked => f.write_str("the load panicked"),
            Self::GivenUp => f.write_str("the load was given up"),
            Self::Overloaded => f.write_str("too many loads wait for a permit"),
            Self::Nested => f.write_str("a load waits for itself"),
        }
    }
}

/// As [`LoadError`] displays the error of the loader, its source is the source of that error.
impl<E: Error + 'static> Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl<E> LoadError<E> {
    /// Returns the error of the loader, if the load failed with it.
    ///
    /// ```
    /// # use cache_core::{Manager, Policy, Runtime, Unknown};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, String>("names", policy);
    /// let error = names.get_or_load(7, || async { Err("no such table") }).await.unwrap_err();
    /// assert_eq!(error.failed(), Some(&"no such table"));
    /// # }
    /// ```
    pub fn failed(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// A [`LoadError`] whose type of error is erased, for a flight that readers of several types share.
#[derive(Clone)]
pub(crate) enum LoadFailure {
    Failed(ErasedError),
    TimedOut,
    Panicked,
    GivenUp,
    Overloaded,
}

/// The error of a loader, and the function that displays it.
#[derive(Clone)]
pub(crate) struct ErasedError {
    error: Arc<dyn Any + Send + Sync>,
    display: fn(&(dyn Any + Send + Sync), &mut fmt::Formatter<'_>) -> fmt::Result,
}

impl fmt::Display for ErasedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.display)(&*self.error, f)
    }
}

impl LoadFailure {
    /// Returns the outcome of the load, as its span names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Failed(_) | Self::Panicked | Self::Overloaded => "failed",
            Self::TimedOut => "timed_out",
            Self::GivenUp => "given_up",
        }
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clone().typed::<ErasedError>().fmt(f)
    }
}

impl LoadFailure {
    pub(super) fn failed<E: LoaderError>(error: E) -> Self {
        Self::Failed(ErasedError {
            error: Arc::new(error),
            display: |error, f| match error.downcast_ref::<E>() {
                Some(error) => error.fmt(f),
                None => Ok(()),
            },
        })
    }

    /// Returns the failure to a reader whose loader has errors of this type.
    pub(crate) fn typed<E: LoaderError>(self) -> LoadError<E> {
        match self {
            Self::Failed(erased) => match Arc::downcast(erased.error.clone()) {
                Ok(error) => LoadError::Failed(error),
                Err(_) => LoadError::OtherType(erased.to_string().into()),
            },
            Self::TimedOut => LoadError::TimedOut,
            Self::Panicked => LoadError::Panicked,
            Self::GivenUp => LoadError::GivenUp,
            Self::Overloaded => LoadError::Overloaded,
        }
    }
}

/// The error of a loader: any type that can be displayed and shared between threads, such as
/// `String`. A [`LoadError`] is an [`Error`] itself if the error of its loader is one.
///
/// ```
/// # use cache_core::*;
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
/// # let policy = Policy::new(Duration::from_secs(60), 100);
/// # let names = manager.region::<u64, String>("names", policy);
/// let error = names.get_or_load(7, || async { Err("down".to_owned()) }).await.unwrap_err();
/// assert_eq!(error.failed().unwrap(), "down");
///
/// type AnyError = Box<dyn std::error::Error + Send + Sync>;
/// let load = || async { Err(AnyError::from("down")) };
/// let error = names.get_or_load(7, load).await.unwrap_err();
/// assert_eq!(error.failed().unwrap().to_string(), "down");
/// # }
/// ```
pub trait LoaderError: fmt::Display + Send + Sync + 'static {}

impl<E: fmt::Display + Send + Sync + 'static> LoaderError for E {}

/// A value that was read from the source, or its absence.
#[derive(Clone)]
pub(crate) struct Loaded<V> {
    pub(crate) value: Option<V>,
    /// The time at which the load began: the value may be older than its arrival.
    pub(crate) at: Nanos,
}

pub(crate) type LoadResult<V> = Result<Loaded<V>, LoadFailure>;

/// The rows that a loader found. A requested key without a row has no value.
pub(crate) type Rows<K, V> = Result<Vec<(K, Entry<V>)>, LoadFailure>;

/// The rows of a load that has ended, and the time at which it began.
pub(crate) type LoadedRows<K, V> = Result<(Nanos, Vec<(K, Entry<V>)>), LoadFailure>;

/// A loader with its types erased: it reads the given keys from the source.
pub(crate) type Loader<K, V> = Box<dyn FnOnce(Vec<K>) -> BoxFuture<'static, Rows<K, V>> + Send>;

/// Erases the type of a loader that reads one key.
pub(crate) fn one<K, V, F, Fut, E, T>(key: K, load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    E: LoaderError,
    T: Into<Entry<V>>,
{
    Box::new(move |_| {
        async move {
            let value = load().await.map_err(LoadFailure::failed)?;
            Ok(value.map(|value| (key, value.into())).into_iter().collect())
        }
        .boxed()
    })
}

/// Erases the type of a loader that reads many keys.
pub(crate) fn many<K, V, F, Fut, E, T>(load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce(Vec<K>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Vec<(K, T)>, E>> + Send + 'static,
    E: LoaderError,
    T: Into<Entry<V>>,
{
    Box::new(move |keys| {
        async move {
            let rows = load(keys).await.map_err(LoadFailure::failed)?;
            Ok(rows
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect())
        }
        .boxed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_error_of_its_own_type_and_the_text_of_another() {
        let failure = LoadFailure::failed(fmt::Error);
        let own = failure.clone().typed::<fmt::Error>();
        assert_eq!(own.failed(), Some(&fmt::Error));
        let other = failure.typed::<String>();
        assert_eq!(other.to_string(), fmt::Error.to_string());
        assert!(other.failed().is_none());
    }
}
