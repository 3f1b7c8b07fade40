//! A reader of the server-sent events of a response. It limits the pauses between events and the
//! size of an event.

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

use crate::failures::{incomplete, malformed};

/// The greatest size of an event, in bytes. The parser buffers an event until it is complete, so
/// without a limit an endless event would fill the memory.
const MAX_EVENT_BYTES: usize = 1 << 20;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// The progress of the event parser, shared with the reader of chunks that feeds the parser.
///
/// The orderings are `Relaxed`, because reader and parser run in turn in one task. The fields are
/// atomics only because the parser owns the reader and the stream must be `Send`.
#[derive(Default)]
struct ParserProgress {
    /// `true` once the parser has returned an event.
    has_begun: AtomicBool,
    /// The number of bytes read since the last event. The parser buffers at most these bytes and
    /// the rest of the chunk in which that event ended.
    pending_bytes: AtomicUsize,
}

/// The stream of events of a response. Dropping it closes the connection.
pub(crate) struct SseEvents {
    stream: SseByteStream<Chunks>,
    progress: Arc<ParserProgress>,
}

impl SseEvents {
    /// Returns the events of `response`. After the first event, a pause longer than `idle_timeout`
    /// is a failure.
    pub(crate) fn new(response: Response, idle_timeout: Duration) -> Self {
        let progress = Arc::new(ParserProgress::default());
        Self {
            stream: SseByteStream::new(chunks(response, idle_timeout, progress.clone())),
            progress,
        }
    }

    /// Returns the data of the next event, skipping events without data. Returns `None` at the end
    /// of the response.
    pub(crate) async fn next(&mut self) -> Option<Result<String, Failure>> {
        loop {
            let event = match self.stream.next().await? {
                Ok(event) => event,
                Err(Error::Body(failure)) => {
                    return Some(Err(failure
                        .downcast()
                        .map_or_else(|_| incomplete(), |failure| *failure)));
                }
                Err(_) => return Some(Err(malformed())),
            };
            self.progress.has_begun.store(true, Ordering::Relaxed);
            self.progress.pending_bytes.store(0, Ordering::Relaxed);
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Some(Ok(data));
            }
        }
    }
}

fn chunks(response: Response, idle_timeout: Duration, progress: Arc<ParserProgress>) -> Chunks {
    Box::pin(stream::try_unfold(
        (response, progress),
        move |(mut response, progress)| async move {
            let chunk = if progress.has_begun.load(Ordering::Relaxed) {
                timeout(idle_timeout, response.chunk()).await.map_err(|_| {
                    Failure(format!(
                        "the model server sent nothing for {idle_timeout:?} in the middle of \
                             its answer"
                    ))
                })?
            } else {
                // `Client::attempt` limits the wait for the first event, so no timeout is needed
                // here.
                response.chunk().await
            };
            let Some(chunk) = chunk.map_err(|_| incomplete())? else {
                return Ok(None);
            };
            let pending = progress
                .pending_bytes
                .fetch_add(chunk.len(), Ordering::Relaxed)
                + chunk.len();
            if pending > MAX_EVENT_BYTES {
                return Err(Failure(
                    "the model server sent an event of more than 1 MiB".into(),
                ));
            }
            Ok(Some((chunk, (response, progress))))
        },
    ))
}
