//! The store without a cache: the growth of reads with the number of rows, messages over a slow
//! network, messages during a clear or an import, and appends to memories.
//!
//! The growth and the clears run on SQLite and on PostgreSQL. The slow network runs on PostgreSQL
//! only, because SQLite has no network. Memories and imports change files. They run on SQLite only,
//! because a slow write there delays all other writes.

mod clears;
mod fill;
mod growth;
mod imports;
mod memories;
mod new_store;
mod round_trips;
mod traffic;

use serde_json::json;

use self::new_store::Backend;
use crate::{
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, start_runtime},
};

/// Measures all parts. Fails if PostgreSQL is not installed.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let mut section = Section {
        raw: json!({}),
        ..Section::default()
    };
    start_runtime().block_on(async {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            growth::measure(mode, backend, &mut section).await?;
            clears::measure(mode, backend, &mut section).await?;
        }
        round_trips::measure(mode, &mut section).await?;
        memories::measure(mode, &mut section).await?;
        imports::measure(mode, &mut section).await
    })?;
    Ok(section)
}
