//! What `cargo xtask bench` measures: each part gives tables, plots, and ratios that are compared from commit to commit.

pub mod configs;
pub mod contestants;
pub mod counted;
pub mod growth;
pub mod hits;
pub mod http;
pub mod layers;
pub mod measure;
pub mod misses;
pub mod plot;
pub mod report;
pub mod store;
pub mod talks;
pub mod wire;
pub mod workloads;
pub mod writes;

use std::{fmt, sync::OnceLock};

use cache_adapter::Cache;
use cache_core::Stats;
use counted::Counter;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::{self, Runtime};

/// The statistics of one region.
pub fn stats_of(cache: &Cache, name: &str) -> Stats {
    cache
        .manager
        .stats()
        .into_iter()
        .find(|(region, ..)| *region == name)
        .expect("it is a region")
        .2
}

/// How a part is run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    is_quick: bool,
}

impl Run {
    /// The full form, or a quick one for a look.
    pub fn new(is_quick: bool) -> Self {
        Self { is_quick }
    }

    /// Whether this is the quick form.
    pub fn is_quick(self) -> bool {
        self.is_quick
    }

    /// How often something is measured.
    pub fn rounds(self, full: usize, quick: usize) -> usize {
        self.size(full, quick)
    }

    /// How much of something there is.
    pub fn size<T>(self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// A runtime as the program has it.
    pub fn runtime(self) -> Runtime {
        runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime can be started")
    }

    /// Counts statements and reads of files, from the first call on.
    pub fn counter(self) -> Counter {
        static COUNTER: OnceLock<Counter> = OnceLock::new();
        COUNTER.get_or_init(Counter::install).clone()
    }

    /// How far a part has come, on a terminal.
    pub fn progress(self, what: impl fmt::Display, steps: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("{prefix}: {pos} of {len} {wide_bar}")
            .expect("the template is one");
        ProgressBar::new(steps as u64)
            .with_style(style)
            .with_prefix(what.to_string())
    }
}
