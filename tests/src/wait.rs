//! Waiting with a bound, so that a broken test fails instead of hanging.

use std::time::Duration;

/// The bound of a wait. What the tests wait for takes milliseconds, so that this is enough on a
/// machine that runs many other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A bound well below the 30 seconds that the tests' polls wait: an answer within it was caused by
/// an event, not by the end of the wait.
const BEFORE_A_POLL_ENDS: Duration = Duration::from_secs(10);

/// Returns the output of `future`. Panics and names `what` after [`PATIENCE`].
pub fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    within(PATIENCE, what, future)
}

/// Returns the output of `future`, which must come before a waiting poll gives up. Panics and names
/// `what` otherwise.
pub fn before_a_poll_ends<T>(
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    within(BEFORE_A_POLL_ENDS, what, future)
}

/// Runs other tasks until `condition` holds. Panics and names `what` after [`PATIENCE`].
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    soon(what, holds).await;
}

/// Returns the output of `future`. Panics and names `what` after `limit`.
pub fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    // Boxed, because some futures of stores are so large that each layer around them counts.
    let future = Box::pin(future);
    async move {
        tokio::time::timeout(limit, future)
            .await
            .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
    }
}
