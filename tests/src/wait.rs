//! Helpers that wait for a limited time, so that a broken test fails instead of hanging.

use std::time::Duration;

/// The maximum time of a wait. The awaited events take milliseconds, so this is enough even on a
/// machine that runs many other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A time limit well below the 30 seconds for which the tests' polls wait. A response within this
/// limit was caused by an event, not by the end of the poll's wait.
const BEFORE_A_POLL_ENDS: Duration = Duration::from_secs(10);

/// Waits for `future` and returns its output. Panics with `what` if this takes longer than
/// [`PATIENCE`].
pub fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    within(PATIENCE, what, future)
}

/// Waits for `future` and returns its output. Panics with `what` if this takes so long that a
/// waiting poll would time out.
pub fn before_a_poll_ends<T>(
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    within(BEFORE_A_POLL_ENDS, what, future)
}

/// Yields to other tasks until `condition` returns `true`. Panics with `what` if this takes longer
/// than [`PATIENCE`].
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    soon(what, holds).await;
}

/// Waits for `future` and returns its output. Panics with `what` if this takes longer than `limit`.
pub fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    // Boxed, because some futures of stores are large, and each future around them contains them.
    let future = Box::pin(future);
    async move {
        tokio::time::timeout(limit, future)
            .await
            .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
    }
}
