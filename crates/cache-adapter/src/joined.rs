//! What joins of several keys share.

/// Rising, each once.
pub(crate) fn distinct<T: Ord + Clone>(ids: &[T]) -> Vec<T> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}
