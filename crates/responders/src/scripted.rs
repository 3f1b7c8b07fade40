//! Answers without a model, composed of sentences from the persona. Equal conversations and seeds
//! yield equal answers.

use std::time::Duration;

use domain::{Composed, Composing, Prompt, Responder, Turn};
use futures_util::{StreamExt, stream};

/// The number of sentences in an answer.
const SENTENCES: usize = 2;
/// If no person spoke and the agent was not named, it answers with a probability of one in this
/// number. With a smaller number, agents would hardly ever stop answering each other.
const ANSWERS_ONE_OF: u64 = 4;
/// Words by which a person asks an agent to remember something.
const MEMORY_WORDS: [&str; 3] = ["remember", "don't forget", "기억"];

/// A responder that composes answers from sentences of the agent's persona.
///
/// It answers people, and anyone who names the agent. It answers other turns of agents only
/// sometimes, so that conversations end. If a person mentions the title of a long-term memory, the
/// agent recalls that memory. If a person's turn contains `remember`, the agent stores that turn as
/// a memory.
///
/// ```
/// use std::time::Duration;
/// use responders::Scripted;
///
/// let immediate = Scripted { pace: Duration::ZERO, ..Scripted::default() };
/// assert_eq!(immediate.seed, 0);
/// ```
#[derive(Clone, Debug)]
pub struct Scripted {
    /// Different seeds select different sentences.
    pub seed: u64,
    /// The pause before each word; zero for no pauses.
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
    fn model(&self) -> &'static str {
        "scripted"
    }

    fn respond(&self, prompt: Prompt) -> Composing {
        let pace = self.pace;
        let pieces = stream::iter(self.compose(&prompt)).then(move |piece| async move {
            if !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            Ok(piece)
        });
        Box::pin(pieces)
    }
}

impl Scripted {
    fn compose(&self, prompt: &Prompt) -> Vec<Composed> {
        let news: Vec<_> = prompt.news().collect();
        let Some(last) = news.last() else {
            return vec![Composed::Silent];
        };
        let mut random = Random::new(self.seed, prompt, last);
        let asked = news.iter().rev().find(|turn| turn.is_from_user).copied();
        let is_named = news
            .iter()
            .any(|turn| turn.text.contains(prompt.name.as_str()));
        if asked.is_none() && !is_named && random.below(ANSWERS_ONE_OF) > 0 {
            return vec![Composed::Silent];
        }
        if let Some(title) = asked.and_then(|turn| title_to_recall(prompt, turn)) {
            return vec![Composed::Recall(title)];
        }
        let answered = asked.unwrap_or(last);
        let mut pieces = words(&format!("{}: {}", answered.name, in_brief(&answered.text)))
            .map(Composed::Thinking)
            .collect::<Vec<_>>();
        if let Some(turn) = asked.filter(|turn| {
            MEMORY_WORDS
                .iter()
                .any(|word| turn.text.to_lowercase().contains(word))
        }) {
            pieces.push(Composed::Memory(format!(
                "{}: {}",
                turn.name,
                in_brief(&turn.text)
            )));
        }
        pieces.extend(words(&answer(prompt, &mut random)).map(Composed::Text));
        pieces.push(Composed::Done);
        pieces
    }
}

/// Returns the title of a memory that the turn mentions and that is not recalled yet.
fn title_to_recall(prompt: &Prompt, turn: &Turn) -> Option<String> {
    let mut titles = prompt
        .persona
        .long_term_memories
        .iter()
        .map(|memory| &memory.title);
    let is_recalled = |title: &String| prompt.recalled.iter().any(|memory| memory.title == *title);
    titles
        .find(|title| !title.is_empty() && turn.text.contains(*title) && !is_recalled(title))
        .cloned()
}

/// Returns the text of an answer: the memory that the agent recalled last, or random sentences of
/// its persona.
fn answer(prompt: &Prompt, random: &mut Random) -> String {
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
    let mut chosen = Vec::new();
    while chosen.len() < SENTENCES && !own.is_empty() {
        let index = usize::try_from(random.below(own.len() as u64))
            .expect("an index below a length is a usize");
        chosen.push(own.remove(index));
    }
    chosen.join(" ")
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '。', '！', '？', '\n'])
        .map(str::trim)
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

/// Returns the beginning of the text, at most 120 characters, on one line.
fn in_brief(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let mut brief: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = brief.char_indices().nth(MAX_CHARS) {
        brief.truncate(end);
        brief.push('…');
    }
    brief
}

/// Returns the words of a text, each with the space after it.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_inclusive(' ')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// A reproducible sequence of random numbers: `SplitMix64`, seeded with an FNV-1a hash of the seed
/// and the conversation.
struct Random(u64);

impl Random {
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

    /// Returns the next number, from 0 up to but not including `bound`.
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
            image: None,
        };
        Prompt {
            room: RoomId(1),
            agent: AgentId(1),
            name: AgentName::parse("Ada").unwrap(),
            system: String::new(),
            memories: String::new(),
            remembers: true,
            persona: Arc::new(persona),
            turns: turns.iter().map(turn).collect(),
            recalled: Vec::new(),
            traceparent: None,
        }
    }

    /// Returns the text of an answer, without thoughts and memories.
    fn text(pieces: &[Composed]) -> String {
        let text = |piece: &Composed| match piece {
            Composed::Text(text) => text.clone(),
            _ => String::new(),
        };
        pieces.iter().map(text).collect()
    }

    #[test]
    fn a_person_is_answered_in_the_personas_own_words_and_reproducibly() {
        let scripted = Scripted::default();
        let prompt = prompt(&[("user", "Good evening")]);
        let pieces = scripted.compose(&prompt);
        assert_eq!(pieces, scripted.compose(&prompt));
        assert_eq!(pieces.last(), Some(&Composed::Done));
        let answer = text(&pieces);
        let own = [
            "Ada mends umbrellas at night.",
            "She speaks slowly.",
            "She laughs when it rains!",
            "비가 오면 웃는다.",
        ];
        let used = own.iter().filter(|sentence| answer.contains(**sentence));
        assert_eq!(used.count(), SENTENCES, "{answer}");
        let differs = |seed| {
            let seeded = Scripted {
                seed,
                ..scripted.clone()
            };
            text(&seeded.compose(&prompt)) != answer
        };
        assert!((1..20).any(differs), "no seed changes the answer");
    }

    #[test]
    fn among_themselves_agents_fall_silent() {
        let scripted = Scripted::default();
        let answers = |text: &str| {
            let is_answered = |number: &usize| {
                let turn = format!("{text} {number}");
                scripted.compose(&prompt(&[("Ada", "so"), ("Bo", &turn)])) != [Composed::Silent]
            };
            (0..400).filter(is_answered).count()
        };
        let unnamed = answers("well");
        assert!(
            (50..150).contains(&unnamed),
            "some 100 of 400 must be answered, got {unnamed}"
        );
        assert_eq!(answers("Ada"), 400, "an agent that is named always answers");
        assert_eq!(
            scripted.compose(&prompt(&[("user", "hi"), ("Ada", "so")])),
            [Composed::Silent]
        );
    }

    #[test]
    fn memories_are_kept_and_recalled() {
        let scripted = Scripted::default();
        let pieces = scripted.compose(&prompt(&[("user", "Remember: the shop closes at six")]));
        assert!(pieces.contains(&Composed::Memory(
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
