//! Explores thread schedules of the cache's own types.

use crate::steps::Steps;

/// Runs the concurrency scenarios of `cache-core` under the schedule explorer. The build has a
/// separate target folder, because it replaces all locks with those of the explorer.
///
/// The build uses optimization level 1, because without optimization the exploration takes most of
/// the time.
pub(crate) fn run(steps: &mut Steps, count: u32) -> Result<(), String> {
    let arguments = [
        "test",
        "--package",
        "greenroom-cache-core",
        "--features",
        "faults",
        "--test",
        "schedules",
        "--target-dir",
        "target/schedules",
        "--",
        "--nocapture",
    ];
    let count = count.to_string();
    steps.cargo_with(
        "schedules",
        &arguments,
        &[
            ("RUSTFLAGS", "--cfg shuttle"),
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "1"),
            ("GREENROOM_SCHEDULES", &count),
            ("SHUTTLE_SILENCE_WARNINGS", "1"),
        ],
    )
}
