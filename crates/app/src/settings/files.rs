//! How the server notices edits of the agents' files.

use std::time::Duration;

/// How the server notices edits that other programs make to the agents' files.
#[derive(Clone, Copy, Debug)]
pub struct FileWatch {
    /// `true` if the operating system is asked to report changes.
    pub watch: bool,
    /// The interval at which the files of recently read agents are checked.
    pub probe: Duration,
}

impl Default for FileWatch {
    fn default() -> Self {
        Self {
            watch: true,
            probe: Duration::from_millis(100),
        }
    }
}

impl FileWatch {
    /// The shortest interval between two probes. A shorter one would keep a core busy.
    const MIN_PROBE: Duration = Duration::from_millis(10);

    /// Raises an interval that is too short to [`Self::MIN_PROBE`].
    pub(super) fn new(watch: bool, probe: Duration) -> Self {
        Self {
            watch,
            probe: probe.max(Self::MIN_PROBE),
        }
    }
}
