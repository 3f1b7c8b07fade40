//! The progress of a conversation from round to round.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use domain::{AgentId, Seq};
use tokio::sync::OwnedSemaphorePermit;

use crate::traces::TraceCause;

use super::{past_rounds::PastRound, pauses::Pauses, prompted::Prompted, trigger::Trigger};

/// The part of a conversation that carries over from one round to the next.
#[derive(Default)]
pub(super) struct RoundProgress {
    /// The agents that speak first in the next round.
    pub(super) mentioned: Vec<AgentId>,
    /// The request of the last message of a person.
    pub(super) cause: TraceCause,
    /// The number of rounds since a person last wrote; `None` until it is derived from the log.
    pub(super) rounds: Option<u32>,
    /// `true` if a person wrote, or wanted an answer, since the last round began. The conversation
    /// then continues, even if the room was marked as finished in the meantime.
    pub(super) is_addressed: bool,
    /// The permit to run more rounds than `follow_up_rounds` without a new user message.
    pub(super) go_on_permit: Option<OwnedSemaphorePermit>,
    pub(super) prompted: Prompted,
    /// The number of prompts since a person last wrote. A round shares it with its turns.
    pub(super) asks: Arc<AtomicU32>,
    /// The sequence number of the message of a person that the last round was about.
    pub(super) last_user_seq: Seq,
    /// The pauses while a model server does not answer.
    pub(super) outage: Pauses,
}

impl RoundProgress {
    /// Returns what was asked, for the next conversation about the same message.
    pub(super) fn past(&self) -> PastRound {
        PastRound {
            last_user_seq: self.last_user_seq,
            prompted: self.prompted.clone(),
            // Relaxed: the number orders nothing.
            asks: self.asks.load(Ordering::Relaxed),
        }
    }

    /// Adds what an earlier conversation about the same message has asked. The agents that have
    /// responded are not asked again, unless a person wants it.
    pub(super) fn continue_from(&self, past: &PastRound) {
        self.asks.fetch_add(past.asks, Ordering::Relaxed);
        if self.rounds.is_none() {
            self.prompted.restore(&past.prompted);
        }
    }

    /// Starts the rounds anew if a person wrote or wants an answer. A wish for an answer also makes
    /// agents answer messages about which they were asked before. Other triggers change nothing.
    pub(super) fn apply(&mut self, trigger: Trigger) {
        let (mentioned, cause, prompted, asks) = match trigger {
            Trigger::Said { mentioned, cause } => {
                (mentioned, cause, self.prompted.clone(), Arc::default())
            }
            Trigger::Retried => {
                let (prompted, asks) = (Prompted::default(), self.asks.clone());
                (Vec::new(), TraceCause::default(), prompted, asks)
            }
            Trigger::Cleared | Trigger::Changed => return,
        };
        *self = Self {
            mentioned,
            cause,
            is_addressed: true,
            rounds: Some(0),
            prompted,
            asks,
            ..Self::default()
        };
    }
}
