//! Whose turn it is, and who sees what: decided from the members' flags alone.

use std::sync::Arc;

use domain::{Agent, AgentConfig, AgentId, Member, Message};

/// An agent in the room, with its persona.
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

/// The order of a round: groups one after the other, whose agents answer at the same time. Mentioned agents come first,
/// each alone, in the order in which they were mentioned; then those of a priority above 0, the highest first; then the
/// others. Critics take no part: they comment when the round is over.
pub(crate) fn order(speakers: &[Speaker], mentioned: &[AgentId]) -> Vec<Vec<AgentId>> {
    let takes_part = |speaker: &&Speaker| !speaker.config.is_critic;
    let mut groups: Vec<Vec<AgentId>> = Vec::new();
    for id in mentioned {
        if speakers
            .iter()
            .filter(takes_part)
            .any(|speaker| speaker.id() == *id)
            && !groups.concat().contains(id)
        {
            groups.push(vec![*id]);
        }
    }
    let first = groups.concat();
    let mut others: Vec<_> = speakers
        .iter()
        .filter(takes_part)
        .filter(|speaker| !first.contains(&speaker.id()))
        .collect();
    // Stable: of one priority, who joined earlier comes first.
    others.sort_by_key(|speaker| std::cmp::Reverse(speaker.config.priority.max(0)));
    for same in
        others.chunk_by(|one, next| one.config.priority.max(0) == next.config.priority.max(0))
    {
        groups.push(same.iter().map(|speaker| speaker.id()).collect());
    }
    groups
}

/// Critics, who comment at the end of a round.
pub(crate) fn critics(speakers: &[Speaker]) -> Vec<AgentId> {
    speakers
        .iter()
        .filter(|speaker| speaker.config.is_critic)
        .map(Speaker::id)
        .collect()
}

/// Those who have their say after each group in which somebody else spoke.
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

/// Whether `reader` sees a message of an author with these flags, where they are known: not what was said before it
/// joined, nor what a transparent agent or a critic said. A critic sees everybody but the other critics.
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
    fn who_interrupts_every_turn_speaks_after_others_and_not_after_itself() {
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
    fn an_agent_sees_what_was_said_since_it_joined_but_for_transparent_agents_and_critics() {
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
                .map(|by| sees(&speakers[reader], &message(by, 11), flags))
        };
        assert_eq!(seen(0), [true, true, false, false, false, true]);
        assert_eq!(seen(1), [true, true, true, false, false, true]);
        assert_eq!(seen(2), [true, true, true, true, false, true]);
        assert!(
            !sees(&speakers[0], &message(None, 10), flags),
            "what was said before it joined"
        );
    }
}
