//! Thoughts that a model writes into its answer as `<think>…</think>`. Some servers do not separate
//! them.

use crate::model_event::ModelEvent;

/// The tags that models use.
const TAGS: [&str; 2] = ["think", "thinking"];

/// A parser that separates the thoughts at the beginning of an answer from the answer, while it
/// streams. A tag later in the answer is text.
#[derive(Debug, Default)]
pub(crate) enum InlineThoughts {
    /// Only white space, or the beginning of an opening tag, has arrived. The text is held back.
    Before(String),
    /// The opening tag has arrived. The text, which may be the beginning of `closing`, is held
    /// back.
    Inside { held: String, closing: String },
    /// The thoughts have ended, or there were none.
    #[default]
    After,
}

impl InlineThoughts {
    pub(crate) fn new() -> Self {
        Self::Before(String::new())
    }

    /// Adds the next part of the answer, and returns what it adds to the thoughts and to the text.
    pub(crate) fn take(&mut self, text: &str) -> Vec<ModelEvent> {
        let mut found = Vec::new();
        let mut text = text.to_owned();
        loop {
            match self {
                Self::Before(held) => {
                    held.push_str(&text);
                    if may_open(held) {
                        return found;
                    }
                    let held = std::mem::take(held);
                    if let Some((tag, rest)) = opened(&held) {
                        *self = Self::Inside {
                            held: String::new(),
                            closing: format!("</{tag}>"),
                        };
                        rest.clone_into(&mut text);
                    } else {
                        *self = Self::After;
                        text = held;
                    }
                }
                Self::Inside { held, closing } => {
                    held.push_str(&text);
                    if let Some((thought, rest)) = held.split_once(closing.as_str()) {
                        found.push(ModelEvent::Thinking(thought.to_owned()));
                        rest.trim_start().clone_into(&mut text);
                        *self = Self::After;
                    } else {
                        let kept = longest_beginning(held, closing);
                        let rest = held.split_off(held.len() - kept);
                        found.push(ModelEvent::Thinking(std::mem::replace(held, rest)));
                        return found;
                    }
                }
                Self::After => {
                    found.push(ModelEvent::Text(text));
                    return found;
                }
            }
        }
    }

    /// Ends the answer, and returns the text that was held back.
    pub(crate) fn end(&mut self) -> Option<ModelEvent> {
        match std::mem::take(self) {
            Self::Before(held) => Some(ModelEvent::Text(held)),
            Self::Inside { held, .. } => Some(ModelEvent::Thinking(held)),
            Self::After => None,
        }
    }
}

/// Returns `true` if the text may become an opening tag.
fn may_open(text: &str) -> bool {
    let text = text.trim_start();
    let is_beginning = |tag: &str| {
        let tag = format!("<{tag}>");
        tag.len() > text.len() && tag.starts_with(text)
    };
    TAGS.iter().any(|tag| is_beginning(tag))
}

/// Returns the opening tag at the beginning of the text, and the rest.
fn opened(text: &str) -> Option<(&'static str, &str)> {
    let text = text.trim_start();
    TAGS.iter().find_map(|tag| {
        let rest = text.strip_prefix('<')?.strip_prefix(tag)?;
        Some((*tag, rest.strip_prefix('>')?))
    })
}

/// Returns the length of the longest end of `text` that is a beginning of `tag`.
fn longest_beginning(text: &str, tag: &str) -> usize {
    (1..tag.len())
        .rev()
        .find(|length| text.ends_with(&tag[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the thoughts and the text of an answer that arrives in these pieces.
    fn separate<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut thoughts = InlineThoughts::new();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(thoughts.take(piece));
        }
        events.extend(thoughts.end());
        let (mut thinking, mut answer) = (String::new(), String::new());
        for event in events {
            match event {
                ModelEvent::Thinking(text) => thinking.push_str(&text),
                ModelEvent::Text(text) => answer.push_str(&text),
                other => panic!("neither a thought nor text: {other:?}"),
            }
        }
        (thinking, answer.trim_start().to_owned())
    }

    #[test]
    fn thoughts_are_separated_however_the_answer_is_cut() {
        for (answer, thinking, text) in [
            ("<think>so\n</think>\n\nHello", "so\n", "Hello"),
            (
                "\n<thinking>a </think> b</thinking>Hi",
                "a </think> b",
                "Hi",
            ),
            ("<think>never ends</thin", "never ends</thin", ""),
            ("<thing> is text", "", "<thing> is text"),
            ("Hello <think>no</think>", "", "Hello <think>no</think>"),
            ("<thin", "", "<thin"),
            ("", "", ""),
        ] {
            let expected = (thinking.to_owned(), text.to_owned());
            assert_eq!(separate([answer]), expected, "{answer}");
            let characters: Vec<_> = answer.chars().map(String::from).collect();
            let characters = characters.iter().map(String::as_str);
            assert_eq!(separate(characters), expected, "{answer}");
        }
    }
}
