//! The batches of a region that wait to bypass the cache. [`bypass_batch`](super::bypass_batch)
//! runs them.

use super::{flight::Flight, loader::Loader};
use crate::{
    nesting,
    sync::{Arc, HashMap, Mutex},
};

/// The queue of the batches of one region. Its lock is taken alone.
pub(crate) struct BatchQueue<K, V>(pub(super) Mutex<Queue<K, V>>);

pub(super) struct Queue<K, V> {
    pub(super) is_running: bool,
    /// The batch that collects keys.
    pub(super) next: Option<Batch<K, V>>,
}

/// The keys of a batch with their flights, and the loader of its first reader.
pub(super) struct Batch<K, V> {
    pub(super) flights: HashMap<K, Arc<Flight<K, V>>>,
    pub(super) loader: Loader<K, V>,
    pub(super) marks: Vec<u64>,
}

impl<K, V> Batch<K, V> {
    /// Returns a batch without keys, which runs on behalf of the running code.
    pub(super) fn new(loader: Loader<K, V>) -> Self {
        Self {
            flights: HashMap::default(),
            loader,
            marks: nesting::marks(),
        }
    }
}

impl<K, V> Default for BatchQueue<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Queue {
            is_running: false,
            next: None,
        }))
    }
}
