//! The progress of a conversation from round to round.

use domain::AgentId;
use tokio::sync::OwnedSemaphorePermit;

use super::{scene::PromptedSeqs, trigger::Trigger};

/// The part of a conversation that carries over from one round to the next.
#[derive(Default)]
pub(super) struct RoundProgress {
    /// The agents that speak first in the next round.
    pub(super) mentioned: Vec<AgentId>,
    /// Rounds since a person wrote.
    pub(super) rounds: u32,
    /// `true` if a person wrote since the last round began. The conversation then continues, even
    /// if the room was marked as finished while the message was being stored.
    pub(super) is_addressed: bool,
    /// Held while agents go on without a person.
    pub(super) go_on_permit: Option<OwnedSemaphorePermit>,
    pub(super) prompted: PromptedSeqs,
}

impl RoundProgress {
    /// Starts over when a person writes. Other triggers change nothing.
    pub(super) fn apply(&mut self, trigger: Trigger) {
        if let Trigger::Said { mentioned } = trigger {
            *self = Self {
                mentioned,
                is_addressed: true,
                prompted: self.prompted.clone(),
                ..Self::default()
            };
        }
    }
}
