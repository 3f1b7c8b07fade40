//! The standard library's monotonic clock, used on systems other than Linux.

use std::{sync::LazyLock, time::Instant};

use super::nanos::{Nanos, nanos};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(super) fn now() -> Nanos {
    nanos(ORIGIN.elapsed())
}

pub(super) fn lag() -> Nanos {
    0
}
