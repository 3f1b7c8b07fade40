//! The newest lines of the log, for the live view.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;
use tracing::{Event, Level, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::moment::now;

/// The number of lines that are kept.
const MOST_LINES: usize = 500;
/// The most characters of a field.
const MOST_CHARS: usize = 500;

/// The lines of the whole process. Tracing has one subscriber for the process, so there is one
/// ring, too.
static RING: LogRing = LogRing::new();

/// A line of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogLine {
    /// The number of the line since the process started.
    pub(crate) id: u64,
    at: String,
    /// `ERROR`, `WARN` or `INFO`.
    level: &'static str,
    /// The part of the program, such as `cache` or `audit`.
    target: &'static str,
    message: String,
    fields: BTreeMap<&'static str, String>,
}

/// The newest lines.
#[derive(Debug)]
pub(crate) struct LogRing {
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    kept: VecDeque<LogLine>,
    count: u64,
    /// Created with the first listener.
    changed: Option<watch::Sender<()>>,
}

/// Returns the ring of the process. It has lines only if the process's subscriber has [`layer`].
pub(crate) fn ring() -> &'static LogRing {
    &RING
}

/// Returns a layer of a tracing subscriber that keeps the newest lines for the live view.
///
/// It takes lines of the level info and above. A lower level would make each hit of the cache write
/// a line.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    RingLayer.with_filter(LevelFilter::INFO)
}

impl LogRing {
    const fn new() -> Self {
        Self {
            lines: Mutex::new(Lines {
                kept: VecDeque::new(),
                count: 0,
                changed: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a receiver that is notified of each new line.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        let mut lines = self.lock();
        let changed = lines.changed.get_or_insert_with(watch::Sender::default);
        changed.subscribe()
    }

    /// Returns the kept lines after the line with this id, oldest first.
    pub(crate) fn after(&self, id: u64) -> Vec<LogLine> {
        let lines = self.lock();
        // An id that this process has not given is of an earlier one.
        let id = if id > lines.count { 0 } else { id };
        let first = lines.kept.partition_point(|line| line.id <= id);
        lines.kept.range(first..).cloned().collect()
    }

    fn push(&self, mut line: LogLine) {
        let mut lines = self.lock();
        lines.count += 1;
        line.id = lines.count;
        if lines.kept.len() == MOST_LINES {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
        if let Some(changed) = &lines.changed {
            changed.send_replace(());
        }
    }
}

struct RingLayer;

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        RING.push(LogLine {
            id: 0,
            at: now(),
            level: level_name(*metadata.level()),
            target: metadata.target(),
            message: text.message,
            fields: text.fields,
        });
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        _ => "INFO",
    }
}

/// The message and the fields of an event as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl tracing::field::Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

impl Text {
    fn add(&mut self, field: &Field, mut text: String) {
        if let Some((end, _)) = text.char_indices().nth(MOST_CHARS) {
            text.truncate(end);
            text.push('…');
        }
        match field.name() {
            "message" => self.message = text,
            name => drop(self.fields.insert(name, text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn lines_of_the_level_info_and_above_are_kept_with_their_fields() {
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "ring_test", "unimportant");
            tracing::warn!(target: "ring_test", region = "names", count = 3, "slow");
        });
        let lines = ring().after(0);
        let lines = lines.iter().filter(|line| line.target == "ring_test");
        let [line] = &lines.collect::<Vec<_>>()[..] else {
            panic!("one line is kept");
        };
        assert_eq!((line.level, line.message.as_str()), ("WARN", "slow"));
        let fields = [("count", "3"), ("region", "names")];
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(line.fields, BTreeMap::from(fields));
        assert!(ring().after(line.id).iter().all(|later| later.id > line.id));
    }

    #[test]
    fn the_layer_lets_no_hit_of_the_cache_write_a_line() {
        let layer = layer::<tracing_subscriber::Registry>();
        assert_eq!(layer.max_level_hint(), Some(LevelFilter::INFO));
    }
}
