//! Explores schedules of the cache's real types.

use crate::steps::Steps;

/// Runs the scenarios of `cache-core` under the schedule explorer. It needs a dedicated target
/// folder, because everything is built with the explorer's locks instead of the real ones.
pub(crate) fn run(steps: &mut Steps, count: u32) -> Result<(), String> {
    let arguments = [
        "test",
        "--package",
        "cache-core",
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
            ("GREENROOM_SCHEDULES", &count),
            ("SHUTTLE_SILENCE_WARNINGS", "1"),
        ],
    )
}
