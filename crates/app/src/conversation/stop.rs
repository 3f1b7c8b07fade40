//! Signals that end the answers of a round early.

use tokio_util::sync::CancellationToken;

/// Ends all answers of a round that are being composed.
#[derive(Clone, Debug, Default)]
pub(super) struct StopSignals {
    /// Stores what the agents have composed so far, marked as interrupted.
    pub(super) keep: CancellationToken,
    /// Drops what the agents have composed so far.
    pub(super) discard: CancellationToken,
}

impl StopSignals {
    /// Waits until either signal is given.
    pub(super) async fn stopped(&self) {
        tokio::select! {
            () = self.keep.cancelled() => {}
            () = self.discard.cancelled() => {}
        }
    }
}
