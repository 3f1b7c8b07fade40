//! A read whose hit is an answer at the first poll, and whose slow path is made only when nothing was in memory.

use futures_util::future::BoxFuture;

/// Looks for what is `asked` by `hit` when it is first polled; goes on by what `slow` makes if that gives nothing.
///
/// The future of an `async fn` holds room for its slow path from the beginning, which each hit would allocate. This one
/// is made where it stays, and `hit` is called where it stands: what is copied as a whole right after its parts were
/// written waits for the store buffer, and the locks of the look-up wait with it, some 20 ns of each hit. So `hit` and
/// `slow` are to capture nothing, and what both need is written once.
#[inline]
pub(crate) fn hit_first<'a, A, T, H, S, F>(asked: A, hit: H, slow: S) -> BoxFuture<'a, T>
where
    A: Send + Sync + 'a,
    T: 'a,
    H: Fn(&A) -> Option<T> + Send + 'a,
    S: FnOnce(A) -> F + Send + 'a,
    F: Future<Output = T> + Send + 'a,
{
    let place = Box::new_uninit();
    let looked = async move {
        if let Some(found) = hit(&asked) {
            return found;
        }
        let slow: BoxFuture<'a, T> = Box::pin(slow(asked));
        slow.await
    };
    let boxed = Box::write(place, looked);
    Box::into_pin(boxed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn nothing_is_looked_up_before_the_first_poll() {
        let looked = AtomicBool::new(false);
        let hit = |looked: &&AtomicBool| {
            looked.store(true, Ordering::SeqCst);
            Some(1)
        };
        let read = hit_first(&looked, hit, |_| async { 2 });
        assert!(!looked.load(Ordering::SeqCst));
        assert_eq!(read.now_or_never(), Some(1));
        assert!(looked.into_inner());
    }

    #[test]
    fn the_slow_path_is_taken_when_nothing_is_found_and_only_then() {
        let slow = |asked| async move { 2 * asked };
        assert_eq!(hit_first(3, |_| None, slow).now_or_never(), Some(6));
        assert_eq!(
            hit_first(3, |asked| Some(*asked), slow).now_or_never(),
            Some(3)
        );
    }
}
