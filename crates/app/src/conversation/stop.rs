//! Signals that end the answers of a round early.

use tokio_util::sync::CancellationToken;

/// The signals that end all unfinished answers of a round.
#[derive(Clone, Debug, Default)]
pub(super) struct StopSignals {
    /// Cancelled to store the unfinished answers, marked as interrupted.
    pub(super) keep: CancellationToken,
    /// Cancelled to drop the unfinished answers.
    pub(super) discard: CancellationToken,
}

impl StopSignals {
    /// Waits until one of the signals is cancelled.
    pub(super) async fn stopped(&self) {
        tokio::select! {
            () = self.keep.cancelled() => {}
            () = self.discard.cancelled() => {}
        }
    }
}
