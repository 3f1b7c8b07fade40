//! A counter of statements and file reads. It counts the tracing events of the database driver and
//! of the agents' store.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use tests::store_access::{StoreAccess, StoreAccessLayer};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

/// A handle to the counts of this process. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    selects: AtomicUsize,
    other_statements: AtomicUsize,
    file_reads: AtomicUsize,
    file_hashes: AtomicUsize,
}

/// The numbers of events by kind, since the start or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Statements that read.
    pub selects: usize,
    /// All other statements, including BEGIN and COMMIT.
    pub other_statements: usize,
    /// Reads of an agent's files for a caller.
    pub file_reads: usize,
    /// Reads of an agent's files by the probe, which compares their hashes.
    pub file_hashes: usize,
}

impl std::ops::Sub for Count {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            selects: self.selects - before.selects,
            other_statements: self.other_statements - before.other_statements,
            file_reads: self.file_reads - before.file_reads,
            file_hashes: self.file_hashes - before.file_hashes,
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, more: Self) {
        self.selects += more.selects;
        self.other_statements += more.other_statements;
        self.file_reads += more.file_reads;
        self.file_hashes += more.file_hashes;
    }
}

impl Counter {
    /// Returns the counter of this process. The first call installs it as the process's tracing
    /// subscriber, which makes every statement slower from then on.
    pub fn global() -> Self {
        static COUNTER: OnceLock<Counter> = OnceLock::new();
        COUNTER.get_or_init(Self::install).clone()
    }

    fn install() -> Self {
        let counter = Self::default();
        let counts = counter.0.clone();
        let count = move |access: StoreAccess, _: &str| {
            let count = match access {
                StoreAccess::Select => &counts.selects,
                StoreAccess::OtherStatement => &counts.other_statements,
                StoreAccess::FileRead => &counts.file_reads,
                StoreAccess::FileProbe => &counts.file_hashes,
            };
            // Sequentially consistent: a count that is read after an operation includes all events
            // of the operation, on whichever thread they occurred.
            count.fetch_add(1, Ordering::SeqCst);
        };
        tracing_subscriber::registry()
            .with(StoreAccessLayer(count))
            .init();
        counter
    }

    /// Returns the number of events since the counter was installed.
    pub fn count(&self) -> Count {
        // Sequentially consistent, as in `install`, so the count includes all events of finished
        // operations.
        let load = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        Count {
            selects: load(&self.0.selects),
            other_statements: load(&self.0.other_statements),
            file_reads: load(&self.0.file_reads),
            file_hashes: load(&self.0.file_hashes),
        }
    }
}
