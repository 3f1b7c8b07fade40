//! The events of drafts in an event stream: whole drafts, or only what was added to them.

use std::collections::BTreeMap;

use domain::{AgentId, RoomId};

use super::{
    chatting::{chatting_agents, render},
    rendered::Json,
    sse_event::{Event, event},
    wire,
};
use crate::conversation::{Conversations, Draft, Drafts};

/// The form in which a client wants drafts.
pub(super) enum DraftEvents {
    /// Each change sends all drafts of the room.
    Whole,
    /// The whole drafts are sent when an agent begins or ends. In between, only the text that was
    /// added is sent.
    ///
    /// `None` before the first event, which is always sent: the client may know drafts that have
    /// ended while it was not connected.
    Deltas(Option<SentDrafts>),
}

/// The parts of drafts that were sent.
pub(super) struct SentDrafts(BTreeMap<AgentId, SentDraft>);

struct SentDraft {
    number: u64,
    thinking_bytes: usize,
    text_bytes: usize,
}

impl DraftEvents {
    /// Returns the events for the present drafts.
    pub(super) fn next(&mut self, conversations: &Conversations, room: RoomId) -> Vec<Event> {
        match self {
            Self::Whole => vec![event("chatting", chatting_agents(conversations, room))],
            Self::Deltas(sent) => conversations.drafts().read(room, |drafts| {
                let added = sent.as_mut().and_then(|sent| sent.add(drafts));
                added.unwrap_or_else(|| {
                    *sent = Some(SentDrafts::of(drafts));
                    vec![event("chatting", render(drafts))]
                })
            }),
        }
    }
}

impl SentDrafts {
    fn of(drafts: &Drafts) -> Self {
        let sent = |(agent, draft): (&AgentId, &Draft)| (*agent, SentDraft::of(draft));
        Self(drafts.iter().map(sent).collect())
    }

    /// Returns an event for each draft with new text. Returns `None` if a draft has begun or ended
    /// since.
    fn add(&mut self, drafts: &Drafts) -> Option<Vec<Event>> {
        if !self.0.keys().eq(drafts.keys()) {
            return None;
        }
        let mut events = Vec::new();
        for ((agent, draft), sent) in drafts.iter().zip(self.0.values_mut()) {
            if sent.number != draft.number {
                return None;
            }
            let delta = wire::DraftDelta {
                agent_id: agent.0,
                thinking_text: draft.thinking.get(sent.thinking_bytes..)?,
                response_text: draft.text.get(sent.text_bytes..)?,
            };
            if !delta.thinking_text.is_empty() || !delta.response_text.is_empty() {
                events.push(event("draft", Json::new(&delta)));
            }
            *sent = SentDraft::of(draft);
        }
        Some(events)
    }
}

impl SentDraft {
    fn of(draft: &Draft) -> Self {
        Self {
            number: draft.number,
            thinking_bytes: draft.thinking.len(),
            text_bytes: draft.text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(number: u64, text: &str) -> Drafts {
        let draft = Draft {
            number,
            text: text.into(),
            ..Draft::default()
        };
        Drafts::from([(AgentId(1), draft)])
    }

    #[test]
    fn a_draft_that_begins_anew_is_sent_whole_also_if_it_is_longer() {
        let mut sent = SentDrafts::of(&drafts(1, "so"));
        assert_eq!(sent.add(&drafts(1, "so")).unwrap().len(), 0);
        assert_eq!(sent.add(&drafts(1, "so be")).unwrap().len(), 1);
        assert!(sent.add(&drafts(2, "so be it")).is_none());
        assert!(sent.add(&Drafts::new()).is_none());
    }
}
