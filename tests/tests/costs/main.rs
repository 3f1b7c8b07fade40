//! The costs of polls: statements at the database's driver, and bytes on the heap.
//!
//! Both are counted for the whole process. Therefore these tests have their own binary, and run one
//! at a time.

mod heap;
mod statements;
mod tab;
mod waiting;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Waits until no other test runs. The test must hold the guard while it runs.
async fn run_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Returns the bytes that were allocated since `region` began and are not freed.
fn held_bytes(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}
