//! Waiting for a future on a thread without an executor.

use std::{
    pin::pin,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use crate::sync::Arc;

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future has ended.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            // Returns at once if the waker was called since the poll.
            Poll::Pending => thread::park(),
        }
    }
}
