//! A tracing subscriber that captures the events and spans of the target `cache`, separately for
//! each thread.

use std::{
    cell::RefCell,
    fmt::{self, Debug, Write},
    sync::Once,
};

use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// A captured tracing event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The level of the event.
    pub level: Level,
    /// The message and the fields, as `message field=value …`. If the event occurred inside a span,
    /// ` in ` and the name of the span follow.
    pub line: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level, self.line)
    }
}

struct Capture {
    max_level: Level,
    events: Vec<Event>,
    spans: Vec<String>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

/// Installs the global subscriber that captures events of the target `cache` up to the level
/// `max_level`. A second call has no effect.
///
/// All tests of a binary share one subscriber. At the first use of an event, `tracing` caches if
/// the event is enabled. If each test had a subscriber, a first use in another test could disable
/// the event for this test.
///
/// # Panics
///
/// Panics if another subscriber is installed.
pub fn install(max_level: Level) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let filter = Targets::new().with_target("cache", LevelFilter::from_level(max_level));
        tracing::subscriber::set_global_default(
            Registry::default().with(filter).with(CapturingLayer),
        )
        .expect("no other subscriber is installed");
        // `tracing` has cached earlier events as disabled. Rebuilding its cache enables them.
        tracing::callsite::rebuild_interest_cache();
    });
}

/// Begins to capture the events of this thread up to the level `max_level`. Events captured before
/// are discarded. On a single-threaded runtime, this captures all events that the test causes.
pub fn capture(max_level: Level) {
    install(max_level);
    CAPTURE.set(Some(Capture {
        max_level,
        events: Vec::new(),
        spans: Vec::new(),
    }));
}

/// Removes and returns the events that were captured on this thread since the last call.
///
/// # Panics
///
/// Panics if [`capture`] was not called on this thread.
pub fn take() -> Vec<Event> {
    with_capture(|capture| std::mem::take(&mut capture.events))
}

/// Removes and returns the spans that closed on this thread since the last call, as
/// `name field=value …`.
///
/// # Panics
///
/// Panics if [`capture`] was not called on this thread.
pub fn take_spans() -> Vec<String> {
    with_capture(|capture| std::mem::take(&mut capture.spans))
}

/// Returns a copy of the events that were captured on this thread since the last call of [`take`].
///
/// # Panics
///
/// Panics if [`capture`] was not called on this thread.
pub fn captured() -> Vec<Event> {
    with_capture(|capture| capture.events.clone())
}

fn with_capture<T>(run: impl FnOnce(&mut Capture) -> T) -> T {
    CAPTURE.with_borrow_mut(|capture| {
        let capture = capture
            .as_mut()
            .expect("`capture` was called on this thread");
        run(capture)
    })
}

struct CapturingLayer;

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, " {}={value:?}", field.name()).expect("a string takes any text");
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CapturingLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut line = Line::default();
        attributes.record(&mut line);
        let span = context.span(id).expect("the span was just created");
        span.extensions_mut().insert(line);
    }

    fn on_record(&self, id: &Id, fields: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("the span is open");
        if let Some(line) = span.extensions_mut().get_mut::<Line>() {
            fields.record(line);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("the span is closing");
        let line = span.extensions_mut().remove::<Line>().unwrap_or_default();
        CAPTURE.with_borrow_mut(|capture| {
            if let Some(capture) = capture {
                capture
                    .spans
                    .push(format!("{}{}", span.name(), line.fields));
            }
        });
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        CAPTURE.with_borrow_mut(|capture| {
            let level = *event.metadata().level();
            let Some(capture) = capture
                .as_mut()
                .filter(|capture| level <= capture.max_level)
            else {
                return;
            };
            let mut line = Line::default();
            event.record(&mut line);
            let span = context
                .lookup_current()
                .map_or(String::new(), |span| format!(" in {}", span.name()));
            capture.events.push(Event {
                level,
                line: format!("{}{}{span}", line.message, line.fields),
            });
        });
    }
}
