//! The log lines of the target `cache`, captured for the thread of a test.

use testkit::events;
use tracing::Level;

/// Begins to capture the events of the target `cache` on this thread.
pub(crate) fn capture() {
    events::capture(Level::INFO);
}

/// Returns the lines that this thread has captured.
pub(crate) fn all() -> Vec<String> {
    printed(&events::captured())
}

/// Returns and removes the lines that this thread has captured.
pub(crate) fn take() -> Vec<String> {
    printed(&events::take())
}

fn printed(events: &[events::Event]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}
