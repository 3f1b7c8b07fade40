//! Answers without a model: from the persona's own words, the same for the same conversation and seed.

use std::time::Duration;

use domain::{Composed, Composing, Prompt, Responder, Turn};
use futures_util::{StreamExt, stream};

/// Sentences in an answer.
const SENTENCES: usize = 2;
/// Of so many turns without a person's word in them, one is answered.
const CHATTY: u64 = 4;
/// Words at which something is kept among the recent events.
const KEEP: [&str; 3] = ["remember", "don't forget", "기억"];

/// Composes answers of an agent's own words.
///
/// It answers a person, and whoever speaks its name; of what agents say among themselves it answers now and then, so that
/// a conversation ends. The title of a long-term memory in what a person says has it recalled; `remember` has it kept.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// Answers differ by it.
    pub seed: u64,
    /// Between two words.
    pub pace: Duration,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            seed: 0,
            pace: Duration::from_millis(30),
        }
    }
}

impl Responder for Scripted {
    fn respond(&self, prompt: Prompt) -> Composing {
        let pace = self.pace;
        let events = stream::iter(self.compose(&prompt)).then(move |event| async move {
            if !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            Ok(event)
        });
        Box::pin(events)
    }
}

impl Scripted {
    fn compose(&self, prompt: &Prompt) -> Vec<Composed> {
        let news: Vec<_> = prompt.news().collect();
        let Some(last) = news.last() else {
            return vec![Composed::Silent];
        };
        let mut dice = Dice::new(self.seed, prompt, last);
        let asked = news.iter().rev().find(|turn| turn.is_from_user).copied();
        let is_named = news
            .iter()
            .any(|turn| turn.text.contains(prompt.name.as_str()));
        if asked.is_none() && !is_named && dice.below(CHATTY) > 0 {
            return vec![Composed::Silent];
        }
        if let Some(title) = asked.and_then(|turn| to_recall(prompt, turn)) {
            return vec![Composed::Recall(title)];
        }
        let to = asked.unwrap_or(last);
        let mut events = words(&format!("{}: {}", to.name, in_brief(&to.text)))
            .map(Composed::Thinking)
            .collect::<Vec<_>>();
        if let Some(turn) = asked.filter(|turn| {
            KEEP.iter()
                .any(|word| turn.text.to_lowercase().contains(word))
        }) {
            events.push(Composed::Memory(format!(
                "{}: {}",
                turn.name,
                in_brief(&turn.text)
            )));
        }
        events.extend(words(&answer(prompt, &mut dice)).map(Composed::Text));
        events.push(Composed::Done);
        events
    }
}

/// The title of a memory that is spoken of and not recalled yet.
fn to_recall(prompt: &Prompt, turn: &Turn) -> Option<String> {
    let mut titles = prompt
        .persona
        .long_term_memories
        .iter()
        .map(|memory| &memory.title);
    let is_known = |title: &String| prompt.recalled.iter().any(|memory| memory.title == *title);
    titles
        .find(|title| !title.is_empty() && turn.text.contains(*title) && !is_known(title))
        .cloned()
}

/// What it recalled, or some of its persona's sentences.
fn answer(prompt: &Prompt, dice: &mut Dice) -> String {
    if let Some(memory) = prompt.recalled.last() {
        return format!("{}: {}", memory.title, memory.text.trim());
    }
    let persona = &prompt.persona;
    let mut own: Vec<&str> = sentences(&persona.in_a_nutshell)
        .chain(sentences(&persona.characteristics))
        .collect();
    own.extend(
        persona
            .recent_events
            .last()
            .into_iter()
            .flat_map(|event| sentences(&event.text)),
    );
    if own.is_empty() {
        return "…".to_owned();
    }
    let mut said = Vec::new();
    while said.len() < SENTENCES && !own.is_empty() {
        let place = usize::try_from(dice.below(own.len() as u64)).expect("it is below the length");
        said.push(own.remove(place));
    }
    said.join(" ")
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '。', '！', '？', '\n'])
        .map(str::trim)
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

/// The beginning, on one line.
fn in_brief(text: &str) -> String {
    const MOST: usize = 120;
    let mut brief: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = brief.char_indices().nth(MOST) {
        brief.truncate(end);
        brief.push('…');
    }
    brief
}

/// Words, each with what stands behind it.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_inclusive(' ')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Numbers that follow from the seed and the conversation (`SplitMix64` over an FNV-1a hash).
struct Dice(u64);

impl Dice {
    fn new(seed: u64, prompt: &Prompt, last: &Turn) -> Self {
        let numbers = [
            seed,
            prompt.room.0.cast_unsigned(),
            prompt.agent.0.cast_unsigned(),
            prompt.turns.len() as u64,
        ];
        let bytes = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .chain(last.text.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{AgentConfig, AgentId, AgentName, LongTermMemory, RoomId};

    use super::*;

    fn prompt(turns: &[(&str, &str)]) -> Prompt {
        let umbrella = LongTermMemory {
            title: "the red umbrella".into(),
            text: "I mended it in the rain.".into(),
        };
        let persona = AgentConfig {
            in_a_nutshell: "Ada mends umbrellas at night.".into(),
            characteristics: "She speaks slowly. She laughs when it rains!\n비가 오면 웃는다."
                .into(),
            long_term_memories: vec![umbrella],
            ..AgentConfig::default()
        };
        let turn = |(name, text): &(&str, &str)| Turn {
            is_own: *name == "Ada",
            is_from_user: *name == "user",
            is_interrupted: false,
            name: (*name).into(),
            text: (*text).into(),
        };
        Prompt {
            room: RoomId(1),
            agent: AgentId(1),
            name: AgentName::parse("Ada").unwrap(),
            system: String::new(),
            persona: Arc::new(persona),
            turns: turns.iter().map(turn).collect(),
            recalled: Vec::new(),
        }
    }

    fn text(events: &[Composed]) -> String {
        events
            .iter()
            .filter_map(|event| {
                if let Composed::Text(text) = event {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn a_person_is_answered_in_the_personas_own_words_the_same_each_time() {
        let scripted = Scripted::default();
        let asked = prompt(&[("user", "Good evening")]);
        let events = scripted.compose(&asked);
        assert_eq!(events, scripted.compose(&asked));
        assert_eq!(events.last(), Some(&Composed::Done));
        let said = text(&events);
        let own: Vec<_> =
            sentences("Ada mends umbrellas at night. She speaks slowly. She laughs when it rains! 비가 오면 웃는다.").collect();
        assert_eq!(
            own.iter()
                .filter(|sentence| said.contains(**sentence))
                .count(),
            SENTENCES,
            "{said}"
        );
        let others: Vec<_> = (1..20)
            .map(|seed| {
                text(
                    &Scripted {
                        seed,
                        ..scripted.clone()
                    }
                    .compose(&asked),
                )
            })
            .collect();
        assert!(
            others.iter().any(|other| *other != said),
            "the seed changes nothing"
        );
    }

    #[test]
    fn among_themselves_agents_fall_silent() {
        let scripted = Scripted::default();
        let answers = |name: &str| {
            let said = |n: usize| {
                scripted.compose(&prompt(&[("Ada", "so"), ("Bo", &format!("{name} {n}"))]))
                    != [Composed::Silent]
            };
            (0..400).filter(|n| said(*n)).count()
        };
        assert!((50..150).contains(&answers("well")), "{}", answers("well"));
        assert_eq!(answers("Ada"), 400, "whose name is spoken answers");
        assert_eq!(
            scripted.compose(&prompt(&[("user", "hi"), ("Ada", "so")])),
            [Composed::Silent]
        );
    }

    #[test]
    fn memories_are_kept_and_recalled() {
        let scripted = Scripted::default();
        let kept = scripted.compose(&prompt(&[("user", "Remember: the shop closes at six")]));
        assert!(kept.contains(&Composed::Memory(
            "user: Remember: the shop closes at six".into()
        )));
        let mut asked = prompt(&[("user", "What of the red umbrella?")]);
        assert_eq!(
            scripted.compose(&asked),
            [Composed::Recall("the red umbrella".into())]
        );
        asked.recalled = asked.persona.long_term_memories.clone();
        assert!(text(&scripted.compose(&asked)).contains("in the rain"));
    }
}
