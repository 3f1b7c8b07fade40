//! Which loads and writes the running code is part of, so that none of them waits for itself.
//!
//! A loader may read the cache again, and a write may run another write. Such a nested call needs
//! no permit of its own, because the outer one has one; and if it would wait for the very load that
//! it is part of, it gets an error at once. The cache runs nested loads and writes in dedicated
//! tasks, to which it passes the marks on. Code that an outer load or write spawns as a task is not
//! recognized: it waits until a timeout ends one of the two.

use std::{
    cell::RefCell,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use crate::sync::thread_local;

thread_local! {
    /// The marks of all loads and writes that are being polled on this thread, outermost first.
    static MARKS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Returns `true` if the running code is part of a load or write with this mark.
pub(crate) fn is_within(mark: u64) -> bool {
    MARKS.with(|marks| marks.borrow().contains(&mark))
}

/// Returns the marks of the running code, for a task that runs on its behalf.
pub(crate) fn marks() -> Vec<u64> {
    MARKS.with(|marks| marks.borrow().clone())
}

/// Runs `work` under `marks`, which [`is_within`] finds wherever `work` is polled.
pub(crate) async fn within<T>(marks: Vec<u64>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(move |context| poll_within(&marks, work.as_mut(), context)).await
}

fn poll_within<T>(
    marks: &[u64],
    work: Pin<&mut impl Future<Output = T>>,
    context: &mut Context<'_>,
) -> Poll<T> {
    within_here(marks, || work.poll(context))
}

/// Runs `work` under `marks` on this thread.
pub(crate) fn within_here<T>(marks: &[u64], work: impl FnOnce() -> T) -> T {
    let outer = MARKS.with(|all| {
        let mut all = all.borrow_mut();
        let outer = all.len();
        all.extend_from_slice(marks);
        outer
    });
    // Also if the work panics.
    let _restore = Restore { outer };
    work()
}

/// Takes the marks of one poll off again.
struct Restore {
    /// The number of marks before the poll.
    outer: usize,
}

impl Drop for Restore {
    fn drop(&mut self) {
        MARKS.with(|all| all.borrow_mut().truncate(self.outer));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn marks_are_seen_within_the_work_and_gone_after_a_poll_and_after_a_panic() {
        let inner = within(vec![2], async {
            (is_within(1), is_within(2), is_within(3))
        });
        let outer = within(vec![1], async { (inner.await, is_within(2), marks()) });
        let seen = ((true, true, false), false, vec![1]);
        assert_eq!(outer.now_or_never(), Some(seen));
        assert!(!is_within(1));
        let mut pending = pin!(within(vec![1], std::future::pending::<()>()));
        assert_eq!(pending.as_mut().now_or_never(), None);
        assert!(!is_within(1));
        let panics = within(vec![1], async { panic!("planned") });
        let ended = std::panic::AssertUnwindSafe(panics).catch_unwind();
        assert!(
            ended
                .now_or_never()
                .is_some_and(|ended: Result<(), _>| ended.is_err())
        );
        assert!(!is_within(1));
    }
}
