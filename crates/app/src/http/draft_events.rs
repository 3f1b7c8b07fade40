//! The events of drafts in an event stream: whole drafts, or only what was added to them.

use std::collections::BTreeMap;

use axum::response::sse::Event;
use domain::{AgentId, RoomId};

use super::{
    chatting::{chatting_agents, render},
    rendered::Json,
    sse_event::event,
    wire,
};
use crate::conversation::{Conversations, Draft, Drafts};

/// The form in which a client wants drafts.
pub(super) enum DraftEvents {
    /// Each change sends all drafts of the room.
    Whole,
    /// The whole drafts are sent when an agent begins or ends. In between, only the text that was
    /// added is sent.
    Deltas(SentDrafts),
}

/// The length of the thinking and of the text that was sent of each draft.
#[derive(Default)]
pub(super) struct SentDrafts(BTreeMap<AgentId, (usize, usize)>);

impl DraftEvents {
    /// Returns the events for the present drafts.
    pub(super) fn next(&mut self, conversations: &Conversations, room: RoomId) -> Vec<Event> {
        match self {
            Self::Whole => vec![event("chatting", chatting_agents(conversations, room))],
            Self::Deltas(sent) => conversations.drafts().read(room, |drafts| {
                sent.add(drafts).unwrap_or_else(|| {
                    *sent = SentDrafts::of(drafts);
                    vec![event("chatting", render(drafts))]
                })
            }),
        }
    }
}

impl SentDrafts {
    fn of(drafts: &Drafts) -> Self {
        let length =
            |(agent, draft): (&AgentId, &Draft)| (*agent, (draft.thinking.len(), draft.text.len()));
        Self(drafts.iter().map(length).collect())
    }

    /// Returns an event for each draft with new text. Returns `None` if an agent has begun or ended
    /// since, or has begun anew.
    fn add(&mut self, drafts: &Drafts) -> Option<Vec<Event>> {
        if !self.0.keys().eq(drafts.keys()) {
            return None;
        }
        let mut events = Vec::new();
        for ((agent, draft), (thinking, text)) in drafts.iter().zip(self.0.values_mut()) {
            let delta = wire::DraftDelta {
                agent_id: agent.0,
                thinking_text: draft.thinking.get(*thinking..)?,
                response_text: draft.text.get(*text..)?,
            };
            if !delta.thinking_text.is_empty() || !delta.response_text.is_empty() {
                events.push(event("draft", Json::new(&delta)));
            }
            (*thinking, *text) = (draft.thinking.len(), draft.text.len());
        }
        Some(events)
    }
}
