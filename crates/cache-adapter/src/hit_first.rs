//! A read whose hit is an answer at the first poll, and whose slow path is made only when nothing was in memory.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;

/// Looks by `hit` when it is first polled; goes on by what `slow` makes if that gives nothing.
///
/// The future of an `async fn` holds room for its slow path from the beginning, which each hit would allocate.
pub(crate) fn hit_first<'a, T, H, S, F>(hit: H, slow: S) -> BoxFuture<'a, T>
where
    T: 'a,
    H: FnOnce() -> Option<T> + Send + Unpin + 'a,
    S: FnOnce() -> F + Send + Unpin + 'a,
    F: Future<Output = T> + Send + 'a,
{
    Box::pin(HitFirst::Begin(Some((hit, slow))))
}

enum HitFirst<'a, T, H, S> {
    Begin(Option<(H, S)>),
    Slow(BoxFuture<'a, T>),
}

impl<'a, T, H, S, F> Future for HitFirst<'a, T, H, S>
where
    H: FnOnce() -> Option<T> + Unpin,
    S: FnOnce() -> F + Unpin,
    F: Future<Output = T> + Send + 'a,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        loop {
            match &mut *self {
                Self::Slow(slow) => return slow.as_mut().poll(context),
                Self::Begin(begin) => {
                    let (hit, slow) = begin.take().expect("a future is not polled after it is ready");
                    if let Some(found) = hit() {
                        return Poll::Ready(found);
                    }
                    *self = Self::Slow(Box::pin(slow()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn nothing_is_looked_up_before_the_first_poll() {
        let looked = AtomicBool::new(false);
        let hit = || {
            looked.store(true, Ordering::SeqCst);
            Some(1)
        };
        let read = hit_first(hit, || async { 2 });
        assert!(!looked.load(Ordering::SeqCst));
        assert_eq!(read.now_or_never(), Some(1));
        assert!(looked.into_inner());
    }

    #[test]
    fn the_slow_path_is_taken_when_nothing_is_found_and_only_then() {
        let slow = || async { 2 };
        assert_eq!(hit_first(|| None, slow).now_or_never(), Some(2));
        assert_eq!(hit_first(|| Some(1), slow).now_or_never(), Some(1));
    }
}
