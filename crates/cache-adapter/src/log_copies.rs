//! The two small values that are derived from a room's log and cached: its activity and the agents'
//! answer counts.

use std::sync::Arc;

use cache_core::Fold;
use domain::{Activity, AnswerCounts, Message, Seq};

/// A cached copy of a room's activity. Each message that is appended to the log updates it.
#[derive(Clone, Debug)]
pub(crate) struct ActivityCopy(pub(crate) Arc<Activity>);

impl ActivityCopy {
    /// Returns the last sequence number that `activity` includes, and the copy.
    pub(crate) fn new(activity: Arc<Activity>) -> (u64, Self) {
        (log_seq(activity.last_seq), Self(activity))
    }
}

impl Fold for ActivityCopy {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        let activity = Arc::make_mut(&mut self.0);
        activity.last_seq = message.seq;
        activity.last_message_seq = message.seq;
        if message.is_from_user() {
            activity.last_user_seq = message.seq;
        }
        if message.is_activity() {
            activity.last_activity_at = Some(message.timestamp);
        }
    }
}

/// A cached copy of the number of each agent's messages in a room. Each message that is appended to
/// the log updates it.
#[derive(Clone, Debug)]
pub(crate) struct AnswerCountsCopy(pub(crate) Arc<AnswerCounts>);

impl AnswerCountsCopy {
    /// Returns the last sequence number that `counts` includes, and the copy.
    pub(crate) fn new(counts: Arc<AnswerCounts>) -> (u64, Self) {
        (log_seq(counts.last_seq), Self(counts))
    }
}

impl Fold for AnswerCountsCopy {
    type Entry = Arc<Message>;

    fn apply(&mut self, _: u64, message: &Arc<Message>) {
        let counts = Arc::make_mut(&mut self.0);
        counts.last_seq = message.seq;
        if let Some(author) = message.author {
            *counts.by_agent.entry(author).or_default() += 1;
        }
    }
}

/// Converts a sequence number to the unsigned type of `cache_core`.
pub(crate) fn log_seq(seq: Seq) -> u64 {
    u64::try_from(seq.0).unwrap_or(0)
}

/// Returns the last sequence number of `messages`, which are oldest first; 0 if there are none.
pub(crate) fn last_log_seq(messages: &[Arc<Message>]) -> u64 {
    messages.last().map_or(0, |message| log_seq(message.seq))
}
