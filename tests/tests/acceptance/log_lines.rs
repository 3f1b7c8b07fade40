//! Log lines of the target `cache`, captured for the thread of a test.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
    sync::Once,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt},
};

thread_local! {
    /// The lines of this thread; `None` unless it captures.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Begins to capture the events of the target `cache` on this thread.
///
/// All threads share one subscriber. A subscriber per test would race with the first use of an
/// event by another test, which caches whether anyone is interested in the event.
pub(crate) fn capture() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let only = Targets::new().with_target("cache", LevelFilter::INFO);
        tracing::subscriber::set_global_default(
            Registry::default().with(CaptureLayer.with_filter(only)),
        )
        .expect("this is the only global subscriber of the test binary");
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.set(Some(Vec::new()));
}

/// Returns the lines that this thread has captured.
pub(crate) fn all() -> Vec<String> {
    LINES.with_borrow(|lines| lines.clone().expect("this thread captures"))
}

/// Returns the lines that this thread has captured, and forgets them.
pub(crate) fn take() -> Vec<String> {
    LINES
        .replace(Some(Vec::new()))
        .expect("this thread captures")
}

/// A layer that formats events as `LEVEL message field=value …`.
struct CaptureLayer;

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
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl<S: Subscriber> Layer<S> for CaptureLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINES.with_borrow_mut(|lines| {
            let Some(lines) = lines else { return };
            let mut line = Line::default();
            event.record(&mut line);
            lines.push(format!(
                "{} {}{}",
                event.metadata().level(),
                line.message,
                line.fields
            ));
        });
    }
}
