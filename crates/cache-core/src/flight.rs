//! One load under way, and everybody who waits for it.

use std::{
    error::Error,
    future::{Future, poll_fn},
    task::{Poll, Waker},
};

use futures_util::future::BoxFuture;

use crate::{
    clock::Nanos,
    sync::{Arc, AtomicBool, Mutex, Ordering},
};

/// Why a load gave no value. It is reported to everyone who waited for the load.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The loader failed; its error, to be taken apart with [`LoadError::source_as`].
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The loader took longer than the manager's load timeout.
    #[error("the load timed out")]
    TimedOut,
    /// The loader panicked.
    #[error("the load panicked")]
    Panicked,
    /// The load's task was dropped, as at the end of the program.
    #[error("the load was given up")]
    GivenUp,
}

impl LoadError {
    /// The loader's own error, if it is an `E`.
    pub fn source_as<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            Self::TimedOut | Self::Panicked | Self::GivenUp => None,
        }
    }
}

/// What a load gave for one key: its value or its absence, and when the load began.
pub(crate) type Loaded<V> = Result<(Option<V>, Nanos), LoadError>;

/// What a loader gives: those of the keys that it was asked for that are there.
pub(crate) type Rows<K, V> = Result<Vec<(K, V)>, LoadError>;
/// Reads keys from the source.
pub(crate) type Loader<K, V> = Box<dyn FnOnce(Vec<K>) -> BoxFuture<'static, Rows<K, V>> + Send>;

pub(crate) struct Flight<K, V> {
    /// The region's create-generation when it began.
    pub(crate) generation: u64,
    /// Set by a planted fault only: joined by readers although it may not be stored.
    pub(crate) overtaken: AtomicBool,
    /// Waits here while the flight is in the line past the cache.
    pub(crate) loader: Mutex<Option<Loader<K, V>>>,
    /// Collects what is written meanwhile, in a region whose values do.
    pub(crate) filling: Option<V>,
    state: Mutex<State<V>>,
}

struct State<V> {
    loaded: Option<Loaded<V>>,
    wakers: Vec<Waker>,
}

impl<K, V: Clone> Flight<K, V> {
    pub(crate) fn new(
        generation: u64,
        loader: Option<Loader<K, V>>,
        filling: Option<V>,
    ) -> Arc<Self> {
        Arc::new(Self {
            generation,
            overtaken: AtomicBool::new(false),
            loader: Mutex::new(loader),
            filling,
            state: Mutex::new(State {
                loaded: None,
                wakers: Vec::new(),
            }),
        })
    }

    /// Ends the flight; a second end is ignored.
    pub(crate) fn land(&self, loaded: Loaded<V>) {
        let wakers = {
            let mut state = self.state.lock();
            state.loaded.get_or_insert(loaded);
            std::mem::take(&mut state.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::SeqCst)
    }

    pub(crate) fn wait(self: Arc<Self>) -> impl Future<Output = Loaded<V>> + Send
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        let mut place: Option<usize> = None;
        poll_fn(move |context| {
            let mut state = self.state.lock();
            if let Some(loaded) = &state.loaded {
                return Poll::Ready(loaded.clone());
            }
            if let Some(place) = place {
                state.wakers[place].clone_from(context.waker());
            } else {
                place = Some(state.wakers.len());
                state.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}
