//! The rules of a round: the order of turns, and the messages that an agent sees.
//!
//! The rules are pure functions of memberships, mentions, and flags in the agents' personas.

use std::sync::Arc;

use domain::{Agent, AgentConfig, AgentId, Member, Message};

/// An agent of the room, with its membership and persona.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) member: Member,
    pub(crate) agent: Arc<Agent>,
    pub(crate) config: Arc<AgentConfig>,
}

impl Speaker {
    pub(crate) fn id(&self) -> AgentId {
        self.agent.id
    }
}

/// Returns the groups of agents that speak in a round, in order. The agents of one group answer at
/// the same time.
///
/// Mentioned agents come first, each alone, in the order in which they were mentioned. Agents with
/// a priority above 0 follow, the highest first, then all others. Critics are in no group: they
/// comment at the end of the round.
pub(crate) fn order(speakers: &[Speaker], mentioned: &[AgentId]) -> Vec<Vec<AgentId>> {
    let is_participant = |speaker: &&Speaker| !speaker.config.is_critic;
    let mut groups: Vec<Vec<AgentId>> = Vec::new();
    for id in mentioned {
        if speakers
            .iter()
            .filter(is_participant)
            .any(|speaker| speaker.id() == *id)
            && !groups.concat().contains(id)
        {
            groups.push(vec![*id]);
        }
    }
    let first = groups.concat();
    let mut others: Vec<_> = speakers
        .iter()
        .filter(is_participant)
        .filter(|speaker| !first.contains(&speaker.id()))
        .collect();
    // The sort is stable: within one priority, agents stay in the order in which they joined.
    others.sort_by_key(|speaker| std::cmp::Reverse(speaker.config.priority.max(0)));
    for same in
        others.chunk_by(|one, next| one.config.priority.max(0) == next.config.priority.max(0))
    {
        groups.push(same.iter().map(|speaker| speaker.id()).collect());
    }
    groups
}

/// Returns the critics, which comment at the end of a round.
pub(crate) fn critics(speakers: &[Speaker]) -> Vec<AgentId> {
    speakers
        .iter()
        .filter(|speaker| speaker.config.is_critic)
        .map(Speaker::id)
        .collect()
}

/// Returns the agents that speak after a group because of their flag `interrupt_every_turn`.
///
/// `spoke` are the agents of the group that spoke. An agent does not interrupt itself: it is
/// returned only if `spoke` contains another agent.
pub(crate) fn interrupters(speakers: &[Speaker], spoke: &[AgentId]) -> Vec<AgentId> {
    let interrupts =
        |speaker: &&Speaker| speaker.config.interrupt_every_turn && !speaker.config.is_critic;
    let others_spoke = |id: AgentId| spoke.iter().any(|other| *other != id);
    speakers
        .iter()
        .filter(interrupts)
        .map(Speaker::id)
        .filter(|id| others_spoke(*id))
        .collect()
}

/// Returns the number of rounds that were completed since a person last wrote, as far as the log
/// shows: an agent that was silent leaves no trace. `answers` returns the number of an agent's
/// complete answers since then.
///
/// In a round, an agent answers at most once. Only an agent that interrupts may answer more often,
/// and critics do not count.
pub(crate) fn completed_rounds(speakers: &[Speaker], answers: impl Fn(AgentId) -> u32) -> u32 {
    let participants = || speakers.iter().filter(|speaker| !speaker.config.is_critic);
    let interrupts = |speaker: &&Speaker| speaker.config.interrupt_every_turn;
    let has_others = participants().any(|speaker| !interrupts(&speaker));
    let counted = participants().filter(|speaker| !has_others || !interrupts(speaker));
    let counts: Vec<_> = counted.map(|speaker| answers(speaker.id())).collect();
    let (least, most) = (counts.iter().min(), counts.iter().max());
    match (least, most) {
        (Some(least), Some(most)) if least < most => most - 1,
        (_, Some(most)) => *most,
        (_, None) => 0,
    }
}

/// Returns `true` if `reader` sees a message.
///
/// * No agent sees messages from before it joined.
/// * Otherwise each agent sees its own messages and those that no agent wrote.
/// * A critic's messages are hidden from all other agents.
/// * A transparent agent's messages are visible only to critics.
/// * Messages of all other agents are visible.
///
/// `flags` returns the persona of an author, or `None` if the persona is unknown. Messages of such
/// authors are visible.
pub(crate) fn sees(
    reader: &Speaker,
    message: &Message,
    flags: impl Fn(AgentId) -> Option<Arc<AgentConfig>>,
) -> bool {
    if message.seq <= reader.member.joined_after_seq {
        return false;
    }
    let Some(author) = message.author.filter(|author| *author != reader.id()) else {
        return true;
    };
    match flags(author) {
        Some(config) if config.is_critic => false,
        Some(config) => !config.transparent || reader.config.is_critic,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use domain::{AgentName, ParticipantType, Role, RoomId, Seq};

    use super::*;

    fn speaker(id: i64, config: AgentConfig) -> Speaker {
        let agent = Agent {
            id: AgentId(id),
            name: AgentName::parse(&format!("A{id}")).unwrap(),
            group: None,
            config_file: String::new(),
            created_at: domain::Timestamp::default(),
            deleted_at: None,
            version: 1,
        };
        let member = Member {
            agent: AgentId(id),
            joined_after_seq: Seq(10),
            joined_at: domain::Timestamp::default(),
        };
        Speaker {
            member,
            agent: Arc::new(agent),
            config: Arc::new(config),
        }
    }

    fn with(change: impl FnOnce(&mut AgentConfig)) -> AgentConfig {
        let mut config = AgentConfig::default();
        change(&mut config);
        config
    }

    fn message(author: Option<i64>, seq: i64) -> Message {
        Message {
            id: domain::MessageId(seq),
            room: RoomId(1),
            seq: Seq(seq),
            author: author.map(AgentId),
            content: String::new(),
            role: Role::User,
            participant_type: Some(ParticipantType::User),
            participant_name: None,
            thinking: None,
            anthropic_calls: None,
            timestamp: domain::Timestamp::default(),
            image_media_type: None,
            interrupted: false,
        }
    }

    fn ids(groups: &[&[i64]]) -> Vec<Vec<AgentId>> {
        groups
            .iter()
            .map(|group| group.iter().map(|id| AgentId(*id)).collect())
            .collect()
    }

    #[test]
    fn the_mentioned_come_first_then_the_highest_priority_then_all_others_together() {
        let speakers = [
            speaker(1, AgentConfig::default()),
            speaker(2, with(|c| c.priority = 5)),
            speaker(3, with(|c| c.priority = -2)),
            speaker(4, with(|c| c.is_critic = true)),
            speaker(5, with(|c| c.priority = 9)),
            speaker(6, AgentConfig::default()),
        ];
        assert_eq!(order(&speakers, &[]), ids(&[&[5], &[2], &[1, 3, 6]]));
        let mentioned = [6, 4, 2, 6, 99].map(AgentId);
        assert_eq!(
            order(&speakers, &mentioned),
            ids(&[&[6], &[2], &[5], &[1, 3]])
        );
        assert_eq!(critics(&speakers), [AgentId(4)]);
        assert_eq!(order(&[], &mentioned), ids(&[]));
    }

    #[test]
    fn an_agent_that_interrupts_every_turn_speaks_after_others_and_not_after_itself() {
        let speakers = [
            speaker(1, with(|c| c.interrupt_every_turn = true)),
            speaker(2, AgentConfig::default()),
        ];
        assert_eq!(interrupters(&speakers, &[AgentId(2)]), [AgentId(1)]);
        assert_eq!(
            interrupters(&speakers, &[AgentId(1), AgentId(2)]),
            [AgentId(1)]
        );
        assert_eq!(interrupters(&speakers, &[AgentId(1)]), []);
        assert_eq!(interrupters(&speakers, &[]), []);
    }

    #[test]
    fn completed_rounds_are_derived_from_the_answers_in_the_log() {
        let speakers = [
            speaker(1, AgentConfig::default()),
            speaker(2, AgentConfig::default()),
            speaker(3, with(|c| c.interrupt_every_turn = true)),
            speaker(4, with(|c| c.is_critic = true)),
        ];
        let rounds = |speakers: &[Speaker], answers: [u32; 4]| {
            completed_rounds(speakers, |id| answers[usize::try_from(id.0).unwrap() - 1])
        };
        for (answers, expected) in [
            ([0, 0, 0, 0], 0),
            ([1, 0, 1, 0], 0),
            ([1, 1, 2, 0], 1),
            ([2, 1, 3, 1], 1),
            ([2, 2, 4, 2], 2),
        ] {
            assert_eq!(rounds(&speakers, answers), expected, "{answers:?}");
        }
        assert_eq!(rounds(&speakers[2..], [0, 0, 3, 1]), 3);
        assert_eq!(rounds(&[], [0; 4]), 0);
    }

    #[test]
    fn an_agent_sees_messages_since_it_joined_except_those_of_transparent_agents_and_critics() {
        let speakers = [
            speaker(1, AgentConfig::default()),
            speaker(2, with(|c| c.transparent = true)),
            speaker(3, with(|c| c.is_critic = true)),
            speaker(4, with(|c| c.is_critic = true)),
        ];
        let flags = |id| {
            speakers
                .iter()
                .find(|speaker| speaker.id() == id)
                .map(|speaker| speaker.config.clone())
        };
        let seen = |reader: usize| {
            [None, Some(1), Some(2), Some(3), Some(4), Some(99)]
                .map(|author| sees(&speakers[reader], &message(author, 11), flags))
        };
        assert_eq!(seen(0), [true, true, false, false, false, true]);
        assert_eq!(seen(1), [true, true, true, false, false, true]);
        assert_eq!(seen(2), [true, true, true, true, false, true]);
        assert!(
            !sees(&speakers[0], &message(None, 10), flags),
            "messages from before it joined are hidden"
        );
    }
}
