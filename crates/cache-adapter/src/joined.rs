//! What joins of several keys share.

/// Rising, each once.
pub(crate) fn distinct<T: Ord + Clone>(ids: &[T]) -> Vec<T> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Whether they rise, each once.
pub(crate) fn is_distinct<T: Ord>(ids: &[T]) -> bool {
    ids.is_sorted_by(|one, next| one < next)
}
