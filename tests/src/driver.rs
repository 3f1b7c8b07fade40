//! What the database's driver and the agents' store tell of: statements that were run, and files that were read.

use std::fmt::{self, Write};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::layer::{Context, Layer};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// A statement that reads.
    Select,
    /// Any other statement, BEGIN and COMMIT among them.
    Other,
    /// An agent's files were read for a reader.
    Files,
    /// An agent's files were read to see whether they changed.
    Hashed,
}

/// Gives on all that is told, with the text of statements.
pub struct Driver<F>(pub F);

/// The driver's own log; each BEGIN and COMMIT, which it does not log; and reads of agents' files.
const TOLD: [&str; 4] = [
    "sqlx::query",
    "persistence::transaction",
    "persistence::files",
    "persistence::probe",
];

fn is_told(metadata: &Metadata<'_>) -> bool {
    TOLD.contains(&metadata.target())
}

impl<S: Subscriber, F: Fn(Done, &str) + 'static> Layer<S> for Driver<F>
where
    Self: Send + Sync,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_told(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_told(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match event.metadata().target() {
            "persistence::files" => return (self.0)(Done::Files, "a file"),
            "persistence::probe" => return (self.0)(Done::Hashed, "a look at a file"),
            _ => {}
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        // By that name a transaction that writes asks PostgreSQL for itself.
        let reads = text.0.trim_start_matches('"').starts_with("SELECT")
            && !text.0.contains("backend_start");
        (self.0)(if reads { Done::Select } else { Done::Other }, &text.0);
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "summary" | "statement" | "db.statement") {
            write!(self.0, "{value:?} ").expect("text takes text");
        }
    }
}
