//! Tests of the costs of polls: statements of the database driver, and heap bytes.
//!
//! Both are counted for the whole process. Therefore these tests are in a separate binary and run
//! one at a time.

mod heap;
mod plans;
mod statements;
mod tab;
mod waiting;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Waits until no other test runs. The caller must hold the returned guard until its test ends.
async fn run_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Returns the bytes that were allocated since `region` began, less the bytes that were freed
/// since; 0 if more were freed.
fn held_bytes(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}
