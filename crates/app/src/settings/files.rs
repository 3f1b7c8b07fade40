//! Settings for noticing edits of the agents' files.

use std::time::Duration;

/// The settings for noticing edits that other programs make to the agents' files.
#[derive(Clone, Copy, Debug)]
pub struct FileWatch {
    /// `true` if the server asks the operating system to report changes of the files.
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
    /// The minimum of `probe`. A shorter interval would keep a core busy.
    const MIN_PROBE: Duration = Duration::from_millis(10);

    /// Creates the settings. A `probe` interval below [`Self::MIN_PROBE`] is raised to this
    /// minimum.
    pub(super) fn new(watch: bool, probe: Duration) -> Self {
        Self {
            watch,
            probe: probe.max(Self::MIN_PROBE),
        }
    }
}
