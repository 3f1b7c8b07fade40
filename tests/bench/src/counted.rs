//! Statements that the driver runs and files that the store reads, as both tell by their events.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tests::store_access::{StoreAccess, StoreAccessLayer};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

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
        let counts = counter.0.clone();
        let count = move |done: StoreAccess, _: &str| {
            let count = match done {
                StoreAccess::Select => &counts.selects,
                StoreAccess::OtherStatement => &counts.others,
                StoreAccess::FileRead => &counts.files,
                StoreAccess::FileProbe => &counts.hashed,
            };
            count.fetch_add(1, Ordering::SeqCst);
        };
        tracing_subscriber::registry()
            .with(StoreAccessLayer(count))
            .init();
        counter
    }

    /// What was counted so far.
    pub fn count(&self) -> Count {
        let of = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        Count {
            selects: of(&self.0.selects),
            others: of(&self.0.others),
            files: of(&self.0.files),
            hashed: of(&self.0.hashed),
        }
    }
}
