//! A point at which concurrent calls interleave.

use std::task::Poll;

use futures_util::future;

/// Yields once, so that other tasks, and other futures of the same task, can make progress.
pub(crate) async fn pause() {
    let mut has_yielded = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
