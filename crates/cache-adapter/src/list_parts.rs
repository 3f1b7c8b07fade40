//! Parts of lists whose newest rows are in memory.

use domain::LIST_LIMIT;

/// Returns `false` if no part after `after` is served from a list of `cached` ids in memory: the
/// newest ids of a longer list rarely contain the next part.
pub(crate) fn may_be_in_memory<K>(cached: usize, after: Option<&K>) -> bool {
    after.is_none() || cached < LIST_LIMIT
}

/// Returns a part of a list from its newest rows, or `None` if the part may have other rows.
///
/// `found` are the rows of the newest `cached` ids that still exist. A cached list of fewer than
/// [`LIST_LIMIT`] ids is the whole list. A longer list may have rows that are not in `found`.
pub(crate) fn part_of_newest<K: Ord, V>(
    mut found: Vec<V>,
    cached: usize,
    id_of: impl Fn(&V) -> K,
    after: Option<K>,
    limit: usize,
) -> Option<Vec<V>> {
    let is_whole = cached < LIST_LIMIT;
    match after {
        None if is_whole || found.len() >= limit => {
            Some(found.split_off(found.len().saturating_sub(limit)))
        }
        Some(after) if is_whole => {
            found.retain(|row| id_of(row) > after);
            found.truncate(limit);
            Some(found)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(found: &[i64], cached: usize, after: Option<i64>, limit: usize) -> Option<Vec<i64>> {
        part_of_newest(found.to_vec(), cached, |id| *id, after, limit)
    }

    #[test]
    fn a_whole_list_answers_every_part() {
        assert_eq!(part(&[2, 4, 5], 4, None, 2), Some(vec![4, 5]));
        assert_eq!(part(&[2, 4, 5], 4, None, 9), Some(vec![2, 4, 5]));
        assert_eq!(part(&[2, 4, 5], 4, Some(2), 1), Some(vec![4]));
        assert_eq!(part(&[2, 4, 5], 4, Some(5), 1), Some(vec![]));
    }

    #[test]
    fn the_newest_ids_of_a_longer_list_answer_only_a_part_that_they_contain() {
        assert_eq!(part(&[2, 4, 5], LIST_LIMIT, None, 3), Some(vec![2, 4, 5]));
        // One of the newest rows was deleted, so an older row belongs to the newest four.
        assert_eq!(part(&[2, 4, 5], LIST_LIMIT, None, 4), None);
        assert_eq!(part(&[2, 4, 5], LIST_LIMIT, Some(0), 1), None);
    }
}
