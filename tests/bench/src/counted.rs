//! Statements that the driver runs and files that the store reads, as both tell by their events.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// What was counted until now. Shared by cloning.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    selects: AtomicUsize,
    others: AtomicUsize,
    files: AtomicUsize,
    hashed: AtomicUsize,
}

/// How many there were, of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Statements that read.
    pub selects: usize,
    /// Statements that write, BEGIN and COMMIT among them.
    pub others: usize,
    /// Times that an agent's files were read for a reader.
    pub files: usize,
    /// Times that they were read to see whether they changed.
    pub hashed: usize,
}

impl std::ops::Sub for Count {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            selects: self.selects - before.selects,
            others: self.others - before.others,
            files: self.files - before.files,
            hashed: self.hashed - before.hashed,
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, more: Self) {
        self.selects += more.selects;
        self.others += more.others;
        self.files += more.files;
        self.hashed += more.hashed;
    }
}

impl Counter {
    /// Counts from here on, in the whole process. Once.
    pub fn install() -> Self {
        let counter = Self::default();
        tracing_subscriber::registry().with(counter.clone()).init();
        counter
    }

    /// What was counted so far.
    pub fn count(&self) -> Count {
        let of = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        Count { selects: of(&self.0.selects), others: of(&self.0.others), files: of(&self.0.files), hashed: of(&self.0.hashed) }
    }
}

fn is_counted(metadata: &Metadata<'_>) -> bool {
    // The driver's own log, each BEGIN, which it does not log, and reads of agents' files.
    ["sqlx::query", "persistence::begin", "persistence::files", "persistence::probe"].contains(&metadata.target())
}

impl<S: Subscriber> Layer<S> for Counter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_counted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_counted(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let counted = match event.metadata().target() {
            "persistence::files" => &self.0.files,
            "persistence::probe" => &self.0.hashed,
            "persistence::begin" => &self.0.others,
            _ if is_read(event) => &self.0.selects,
            _ => &self.0.others,
        };
        counted.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whether the driver tells of a statement that reads.
fn is_read(event: &Event<'_>) -> bool {
    struct Reads(bool);
    impl Visit for Reads {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "summary" {
                let text = format!("{value:?}");
                // By that name a transaction that writes asks PostgreSQL for itself.
                self.0 = text.trim_start_matches('"').starts_with("SELECT") && !text.contains("backend_start");
            }
        }
    }
    let mut reads = Reads(false);
    event.record(&mut reads);
    reads.0
}
