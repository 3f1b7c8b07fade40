//! The record of the messages written to one room, which tells the messages that a read must show.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::verdict::{Verdict, WrongRead, list};
use crate::random::Random;

/// The maximum number of messages in a response for a room. The response contains the newest ones.
const MAX_SHOWN: usize = 200;

/// The record of the messages written to one room.
///
/// Each clear of the log begins the next epoch. Messages of an epoch are sent only after its clear
/// was acknowledged. The text of each message is the number of its epoch.
#[derive(Clone, Debug, Default)]
pub struct WrittenLog {
    /// The number of clears that have begun, acknowledged or not.
    pub begun: u64,
    epoch: u64,
    known: Arc<BTreeSet<i64>>,
}

impl WrittenLog {
    /// Records that the message with this id was acknowledged.
    pub fn sent(&mut self, id: i64) {
        Arc::make_mut(&mut self.known).insert(id);
    }

    /// Records that the clear that begins this epoch was acknowledged.
    pub fn cleared(&mut self, epoch: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.known = Arc::default();
        }
    }

    /// Draws the message id after which a poll reads: one of the five newest known ids, or 0.
    pub fn sample(&self, random: &Random) -> i64 {
        self.known
            .iter()
            .rev()
            .nth(random.below(5))
            .copied()
            .unwrap_or(0)
    }

    /// Checks the response to a read of the messages with ids above `since`. `before` is the record
    /// when the read began.
    pub(super) fn check_read(&mut self, before: &Self, since: i64, shown: &Value) -> Verdict {
        let messages = list(shown)?;
        let since = if messages.len() < MAX_SHOWN {
            since
        } else {
            since.max(messages[0]["id"].as_i64().unwrap_or(0) - 1)
        };
        let mut ids = BTreeSet::new();
        let mut epochs = BTreeSet::new();
        for message in messages
            .iter()
            .filter(|message| message["participant_type"] != "system")
        {
            let id = message["id"].as_i64();
            ids.insert(id.ok_or_else(|| malformed("id", message))?);
            let epoch = message["content"]
                .as_str()
                .and_then(|text| text.parse::<u64>().ok());
            epochs.insert(epoch.ok_or_else(|| malformed("epoch", message))?);
        }
        if epochs.len() > 1 {
            return Err(WrongRead::Stale(format!(
                "messages of the epochs {epochs:?} are shown together"
            )));
        }
        let epoch = epochs.first().copied();
        if let Some(epoch) = epoch.filter(|epoch| *epoch < before.epoch) {
            return Err(WrongRead::Stale(format!(
                "messages of epoch {epoch} are shown after epoch {} was known",
                before.epoch
            )));
        }
        let missing: Vec<_> = before
            .known
            .range(since + 1..)
            .filter(|id| !ids.contains(id))
            .collect();
        let is_same_epoch = epoch.is_some_and(|epoch| epoch == before.epoch);
        if !missing.is_empty() && (is_same_epoch || self.begun == before.epoch) {
            return Err(WrongRead::Stale(format!(
                "messages {missing:?} were known, but only {ids:?} are shown above {since}"
            )));
        }
        if !missing.is_empty() {
            // Only a clear removes messages, so the read shows that the next epoch has begun.
            self.cleared(before.epoch + 1);
        }
        if epoch.is_some_and(|epoch| epoch == self.epoch) && !ids.is_subset(&self.known) {
            Arc::make_mut(&mut self.known).extend(ids);
        }
        Ok(())
    }
}

fn malformed(field: &str, message: &Value) -> WrongRead {
    WrongRead::Malformed(format!("message {message} has no {field}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(ids_and_epochs: &[(i64, u64)]) -> Value {
        ids_and_epochs
            .iter()
            .map(|(id, epoch)| {
                json!({ "id": id, "content": epoch.to_string(), "participant_type": null })
            })
            .collect()
    }

    #[test]
    fn a_known_message_must_be_shown_until_a_clear_begins() {
        let mut log = WrittenLog::default();
        log.sent(1);
        log.sent(2);
        let before = log.clone();
        assert!(log.check_read(&before, 0, &messages(&[(1, 0)])).is_err());
        assert!(log.check_read(&before, 0, &messages(&[])).is_err());
        log.check_read(&before, 1, &messages(&[(2, 0), (3, 0)]))
            .unwrap();
        let before = log.clone();
        assert!(log.check_read(&before, 1, &messages(&[(2, 0)])).is_err());
        log.begun = 1;
        assert!(
            log.check_read(&before, 0, &messages(&[(1, 0), (2, 0)]))
                .is_err()
        );
        log.check_read(&before, 0, &messages(&[])).unwrap();
        let before = log.clone();
        assert!(
            log.check_read(&before, 0, &messages(&[(1, 0), (2, 0), (3, 0)]))
                .is_err()
        );
    }
}
