//! A reader of the events of a response, which limits the pauses between events and their size.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::FailureKind;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::Response;
use sse_stream::{Error, SseByteStream};
use tokio::time::timeout;

use crate::failures::{FailedAttempt, incomplete, malformed};

/// The greatest size of an event, in bytes. The parser buffers an event until it is complete, so
/// without a limit an endless event would fill the memory.
const MAX_EVENT_BYTES: usize = 1 << 20;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, FailedAttempt>> + Send>>;

/// The longest waits for a part of a response. Any part counts, so a server that sends comments
/// while a model reads the prompt is not given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPauses {
    /// Before the first piece of the answer.
    pub(crate) first: Duration,
    /// After it.
    pub(crate) idle: Duration,
}

/// The progress of the event parser, shared with the reader of chunks that feeds the parser.
///
/// The orderings are `Relaxed`, because reader and parser run in turn in one task. The fields are
/// atomics only because the parser owns the reader and the stream must be `Send`.
#[derive(Default)]
struct ParserProgress {
    /// `true` once a piece of the answer has arrived.
    has_begun: AtomicBool,
    /// The number of bytes read since the last event. The parser buffers at most these bytes and
    /// the rest of the chunk in which that event ended.
    pending_bytes: AtomicUsize,
}

/// The events of a response. Dropping it closes the connection.
pub(crate) struct ResponseEvents {
    source: EventSource,
    progress: Arc<ParserProgress>,
}

enum EventSource {
    /// Server-sent events.
    Stream(SseByteStream<Chunks>),
    /// The whole response, which is not a stream, until it was returned.
    Whole(Option<String>),
}

impl ResponseEvents {
    /// Returns the events of a response once its first bytes have arrived. They show what it is:
    /// some servers send a whole answer or an error instead of a stream, whatever they declare.
    pub(crate) async fn read(
        mut response: Response,
        pauses: MaxPauses,
    ) -> Result<Self, FailedAttempt> {
        let progress = Arc::new(ParserProgress::default());
        let mut first = Vec::new();
        while first.trim_ascii().is_empty() {
            match next_chunk(&mut response, pauses, &progress).await? {
                Some(chunk) => first.extend_from_slice(&chunk),
                None => break,
            }
        }
        let source = match first.trim_ascii_start().first() {
            Some(b'{' | b'[') => {
                EventSource::Whole(Some(read_whole(response, first, pauses, &progress).await?))
            }
            Some(b'<') => {
                return Err(FailedAttempt::permanent(
                    FailureKind::Malformed,
                    "the model server sent a web page instead of an answer; check `base_url`",
                ));
            }
            _ => EventSource::Stream(SseByteStream::new(chunks(
                response,
                first,
                pauses,
                progress.clone(),
            ))),
        };
        Ok(Self { source, progress })
    }

    /// Returns the data of the next event, skipping events without data. Returns `None` at the end
    /// of the response.
    pub(crate) async fn next(&mut self) -> Option<Result<String, FailedAttempt>> {
        let stream = match &mut self.source {
            EventSource::Whole(whole) => return whole.take().map(Ok),
            EventSource::Stream(stream) => stream,
        };
        loop {
            let event = match stream.next().await? {
                Ok(event) => event,
                Err(Error::Body(failed)) => {
                    return Some(Err(failed
                        .downcast()
                        .map_or_else(|_| incomplete(), |failed| *failed)));
                }
                Err(_) => return Some(Err(malformed())),
            };
            self.progress.pending_bytes.store(0, Ordering::Relaxed);
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Some(Ok(data));
            }
        }
    }

    /// Returns `true` if the response is a whole answer, which needs no event at its end.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.source, EventSource::Whole(_))
    }

    /// Notes that a piece of the answer has arrived. From now on, pauses are shorter.
    pub(crate) fn answer_began(&self) {
        self.progress.has_begun.store(true, Ordering::Relaxed);
    }
}

/// Returns the next bytes of a response; `None` at its end.
async fn next_chunk(
    response: &mut Response,
    pauses: MaxPauses,
    progress: &ParserProgress,
) -> Result<Option<Bytes>, FailedAttempt> {
    let MaxPauses { first, idle } = pauses;
    let has_begun = progress.has_begun.load(Ordering::Relaxed);
    let chunk = timeout(if has_begun { idle } else { first }, response.chunk());
    let chunk = chunk.await.map_err(|_| {
        if has_begun {
            let reason = "in the middle of its answer";
            let text = format!("the model server sent nothing for {idle:?} {reason}");
            FailedAttempt::permanent(FailureKind::Timeout, text)
        } else {
            FailedAttempt::not_begun(first)
        }
    })?;
    let chunk = chunk.map_err(|_| incomplete())?;
    let bytes = chunk.as_ref().map_or(0, Bytes::len);
    let pending = progress.pending_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if pending > MAX_EVENT_BYTES {
        return Err(FailedAttempt::permanent(
            FailureKind::TooLong,
            "the model server sent an event of more than 1 MiB",
        ));
    }
    Ok(chunk)
}

async fn read_whole(
    mut response: Response,
    mut whole: Vec<u8>,
    pauses: MaxPauses,
    progress: &ParserProgress,
) -> Result<String, FailedAttempt> {
    while let Some(chunk) = next_chunk(&mut response, pauses, progress).await? {
        whole.extend_from_slice(&chunk);
    }
    String::from_utf8(whole).map_err(|_| malformed())
}

fn chunks(
    response: Response,
    first: Vec<u8>,
    pauses: MaxPauses,
    progress: Arc<ParserProgress>,
) -> Chunks {
    let mut errors = ErrorLines::default();
    let first = Bytes::from(errors.translate(&first));
    let rest = stream::try_unfold(
        (response, errors, progress),
        move |(mut response, mut errors, progress)| async move {
            let chunk = next_chunk(&mut response, pauses, &progress).await?;
            Ok(chunk.map(|chunk| {
                let chunk = Bytes::from(errors.translate(&chunk));
                (chunk, (response, errors, progress))
            }))
        },
    );
    Box::pin(stream::once(async { Ok(first) }).chain(rest))
}

/// A filter that renames the field `error`, in which llama.cpp reports errors, to `data`. The
/// standard has no such field, so parsers of server-sent events ignore it.
#[derive(Default)]
struct ErrorLines {
    /// `true` in the middle of a line.
    in_line: bool,
    /// The beginning of a line that may be the field.
    held: Vec<u8>,
}

impl ErrorLines {
    const FIELD: &[u8] = b"error:";

    fn translate(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut translated = Vec::with_capacity(chunk.len() + self.held.len());
        for byte in chunk {
            if self.in_line {
                translated.push(*byte);
                self.in_line = !matches!(byte, b'\n' | b'\r');
                continue;
            }
            self.held.push(*byte);
            if self.held == Self::FIELD {
                translated.extend_from_slice(b"data:");
                self.held.clear();
                self.in_line = true;
            } else if !Self::FIELD.starts_with(&self.held) {
                translated.append(&mut self.held);
                self.in_line = !matches!(byte, b'\n' | b'\r');
            }
        }
        translated
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    const PAUSES: MaxPauses = MaxPauses {
        first: Duration::from_mins(1),
        idle: Duration::from_secs(30),
    };

    /// Returns a response of which each part arrives some seconds after the part before it.
    fn response(parts: &'static [(u64, &'static str)]) -> Response {
        let parts = stream::iter(parts).then(|(seconds, part)| async {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
            Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(part.as_bytes())))
        });
        http::Response::new(reqwest::Body::wrap(StreamBody::new(parts))).into()
    }

    #[tokio::test(start_paused = true)]
    async fn comments_are_a_sign_of_life_until_the_answer_begins() {
        let parts = &[
            (50, ": reading\n\n"),
            (50, ": reading\n\n"),
            (50, "data: a\n\n"),
            (50, "data: b\n\n"),
            (31, "data: c\n\n"),
        ];
        let mut events = ResponseEvents::read(response(parts), PAUSES).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), "a");
        assert_eq!(events.next().await.unwrap().unwrap(), "b");
        events.answer_began();
        let failed = events.next().await.unwrap().unwrap_err();
        assert!(!failed.is_transient, "{failed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn white_space_before_a_whole_answer_is_skipped() {
        let parts = &[(1, "\n"), (1, " \n"), (1, "{\"a\":"), (1, "1}")];
        let mut events = ResponseEvents::read(response(parts), PAUSES).await.unwrap();
        assert!(events.is_whole());
        assert_eq!(events.next().await.unwrap().unwrap(), "\n \n{\"a\":1}");
        assert!(events.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_sends_nothing_is_tried_again() {
        let failed = ResponseEvents::read(response(&[(61, "data: a\n\n")]), PAUSES).await;
        assert!(failed.err().unwrap().is_transient);
    }

    #[test]
    fn the_field_of_errors_is_renamed_however_it_is_cut() {
        let text = b"data: a\n\nerror: {}\r\n\rerror:b\nerr: c\ndata: error: d\n";
        let expected = b"data: a\n\ndata: {}\r\n\rdata:b\nerr: c\ndata: error: d\n";
        for length in 1..text.len() {
            let mut errors = ErrorLines::default();
            let pieces = text.chunks(length);
            let translated: Vec<u8> = pieces.flat_map(|piece| errors.translate(piece)).collect();
            assert_eq!(translated, expected, "pieces of {length}");
        }
    }
}
