//! The events of a response as they arrive: in time, of bounded size, and text.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::Failure;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::Response;
use sse_stream::{Error, SseByteStream};
use tokio::time::timeout;

use crate::refusals::{cut_off, garbled};

/// How much a server may send before an event is complete.
const LONGEST_EVENT: usize = 1 << 20;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// What the parser found so far, for the chunks that it is still to read.
#[derive(Default)]
struct Progress {
    /// Whether there was an event.
    begun: AtomicBool,
    /// The bytes that came since the last one; the parser holds as many, and the rest of the chunk with that event, at most.
    pending: AtomicUsize,
}

/// The data of a response's events. Dropping it closes the connection.
pub(crate) struct Events {
    stream: SseByteStream<Chunks>,
    progress: Arc<Progress>,
}

impl Events {
    /// `idle` is how long nothing may come after the first event.
    pub(crate) fn new(response: Response, idle: Duration) -> Self {
        let progress = Arc::new(Progress::default());
        Self {
            stream: SseByteStream::new(chunks(response, idle, progress.clone())),
            progress,
        }
    }

    /// The next event's data; `None` where the response ends.
    pub(crate) async fn next(&mut self) -> Option<Result<String, Failure>> {
        loop {
            let event = match self.stream.next().await? {
                Ok(event) => event,
                Err(Error::Body(failure)) => {
                    return Some(Err(failure
                        .downcast()
                        .map_or_else(|_| cut_off(), |failure| *failure)));
                }
                Err(_) => return Some(Err(garbled())),
            };
            self.progress.begun.store(true, Ordering::Relaxed);
            self.progress.pending.store(0, Ordering::Relaxed);
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Some(Ok(data));
            }
        }
    }
}

fn chunks(response: Response, idle: Duration, progress: Arc<Progress>) -> Chunks {
    Box::pin(stream::try_unfold(
        (response, progress),
        move |(mut response, progress)| async move {
            let chunk = if progress.begun.load(Ordering::Relaxed) {
                timeout(idle, response.chunk()).await.map_err(|_| {
                    Failure("the model server stopped in the middle of its answer".into())
                })?
            } else {
                // How long the first event may take is known to who waits for it.
                response.chunk().await
            };
            let Some(chunk) = chunk.map_err(|_| cut_off())? else {
                return Ok(None);
            };
            if progress.pending.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len()
                > LONGEST_EVENT
            {
                return Err(Failure("the model server sent too much at once".into()));
            }
            Ok(Some((chunk, (response, progress))))
        },
    ))
}
