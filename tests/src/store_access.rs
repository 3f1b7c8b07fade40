//! A tracing layer that observes the statements that a store's driver runs, and the store's file
//! reads.

use std::fmt::{self, Write};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::layer::{Context, Layer};

/// A kind of access to the database or to the agents' files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAccess {
    /// A statement that reads.
    Select,
    /// Any other statement, including BEGIN and COMMIT.
    OtherStatement,
    /// A read of an agent's files for a caller.
    FileRead,
    /// A read of an agent's files by the probe, the background job that detects edits.
    FileProbe,
}

/// A tracing layer that calls a function with each access and its text: the text of the statement,
/// or a description of the file read.
pub struct StoreAccessLayer<F>(pub F);

/// The tracing targets of the events that report an access. The driver does not log BEGIN and
/// COMMIT, so the store reports them as `persistence::transaction`.
const TARGETS: [&str; 4] = [
    "sqlx::query",
    "persistence::transaction",
    "persistence::files",
    "persistence::probe",
];

fn is_access(metadata: &Metadata<'_>) -> bool {
    TARGETS.contains(&metadata.target())
}

impl<S: Subscriber, F: Fn(StoreAccess, &str) + 'static> Layer<S> for StoreAccessLayer<F>
where
    Self: Send + Sync,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_access(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_access(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match event.metadata().target() {
            "persistence::files" => return (self.0)(StoreAccess::FileRead, "a file"),
            "persistence::probe" => return (self.0)(StoreAccess::FileProbe, "a probed file"),
            _ => {}
        }
        let mut text = StatementText(String::new());
        event.record(&mut text);
        // On PostgreSQL, a writing transaction selects `backend_start` to identify its own
        // connection. This SELECT belongs to the write.
        let is_read = text.0.trim_start_matches('"').starts_with("SELECT")
            && !text.0.contains("backend_start");
        let access = if is_read {
            StoreAccess::Select
        } else {
            StoreAccess::OtherStatement
        };
        (self.0)(access, &text.0);
    }
}

/// Collects the text of a statement from the fields of a tracing event.
struct StatementText(String);

impl Visit for StatementText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "summary" | "statement" | "db.statement") {
            write!(self.0, "{value:?} ").expect("writing to a String cannot fail");
        }
    }
}
