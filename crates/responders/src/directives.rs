//! Directives: lines of an answer by which a model stays silent, stores a memory or recalls one.
//!
//! Directives are plain text, so they work with every model and every protocol. Models do not write
//! them exactly as they are asked to, so capitals, backticks, a full stop, and the agent's name in
//! front make no difference.

use domain::Composed;

use crate::speaker_name::SpeakerName;

/// Returns the part of the system prompt that explains the directives to a model. If the agent
/// cannot add memories, it says nothing of them.
///
/// ```
/// use responders::instructions;
///
/// assert!(instructions(true).contains("[remember]"));
/// assert!(!instructions(false).contains("[remember]"));
/// ```
pub fn instructions(remembers: bool) -> String {
    let remember = if remembers { REMEMBER } else { "" };
    format!("{ANSWER}{remember}{RECALL}")
}

const ANSWER: &str = "\n# How to answer\n\
Answer in the conversation as yourself, without your name before it, and only for yourself.\n\
If you have nothing to add, answer with the single line `[silent]` and nothing else.\n";
const REMEMBER: &str = "To keep something for later, write a line `[remember] what happened`. \
It is not part of your answer, but it may be shown to people later.\n";
const RECALL: &str = "To look into one of your long-term memories before you answer, \
answer with the single line `[recall] its title`.\n";

/// The words of directives.
pub(crate) const DIRECTIVE_WORDS: [&str; 3] = ["silent", "recall", "remember"];
/// The characters with which models decorate a line.
const DECORATION: [char; 4] = ['`', '*', '_', '"'];

/// A parser that separates directives from text while an answer streams.
///
/// A line is held back as long as it may become a directive. All other text is returned at once. A
/// name of the agent in front of the answer is left out.
///
/// ```
/// use domain::Composed;
/// let mut directives = responders::Directives::new("Ada Brackwater");
/// assert_eq!(directives.take("Ada: Good mor"), [Composed::Text("Good mor".into())]);
/// assert_eq!(directives.take("ning!\n[remem"), [Composed::Text("ning!\n".into())]);
/// let kept = directives.take("ber] the red umbrella\n");
/// assert_eq!(kept, [Composed::Memory("the red umbrella".into())]);
/// assert_eq!(directives.end(), [Composed::Done]);
/// ```
#[derive(Debug)]
pub struct Directives {
    name: SpeakerName,
    /// The others, whose lines are left out.
    others: Vec<SpeakerName>,
    /// The speaker of the current line.
    voice: Voice,
    /// The beginning of the current line, as long as the line may become a directive.
    held_line: String,
    /// `true` if the current line is not a directive. The rest of the line is text then.
    line_is_text: bool,
    /// `true` once text was returned.
    has_text: bool,
    /// The number of memories that were returned.
    memories: usize,
    has_ended: bool,
}

/// The speaker of a line, by its name in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Own,
    Other,
}

/// A whole line that is a directive.
#[derive(Debug, PartialEq, Eq)]
enum Directive<'a> {
    Silent,
    Recall(&'a str),
    Remember(&'a str),
}

impl Directives {
    /// Returns a parser for an answer of the agent with this name.
    ///
    /// ```
    /// use domain::Composed;
    ///
    /// let mut directives = responders::Directives::new("Ada");
    /// assert_eq!(directives.take("Ada: `[Silent]`.\n"), [Composed::Silent]);
    /// ```
    pub fn new(name: &str) -> Self {
        Self {
            name: SpeakerName::new(name),
            others: Vec::new(),
            voice: Voice::Own,
            held_line: String::new(),
            line_is_text: false,
            has_text: false,
            memories: 0,
            has_ended: false,
        }
    }

    /// Leaves out the lines in which the agent speaks for one of these others: from a line with the
    /// other's name in front to the next empty line, or line with the agent's own name.
    ///
    /// ```
    /// use domain::Composed;
    ///
    /// let mut directives = responders::Directives::new("Ada").without_others(["Bo"]);
    /// let composed = directives.take("Hello.\nBo: Hello, Ada!\nHow are you?\nAda: Fine.\n");
    /// assert_eq!(composed, ["Hello.\n", "Fine.\n"].map(|line| Composed::Text(line.into())));
    /// ```
    #[must_use]
    pub fn without_others<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter(|name| !name.trim().is_empty());
        self.others = names.map(SpeakerName::new).collect();
        self
    }

    /// Adds `text`, the next part of the answer, and returns the pieces that are now complete.
    /// After a directive that ends the answer, returns no pieces.
    ///
    /// ```
    /// use domain::Composed;
    ///
    /// let mut directives = responders::Directives::new("Ada");
    /// let composed = directives.take("[recall] the garden\nand more");
    /// assert_eq!(composed, [Composed::Recall("the garden".into())]);
    /// assert_eq!(directives.take("more"), []);
    /// ```
    pub fn take(&mut self, text: &str) -> Vec<Composed> {
        let mut found = Vec::new();
        for piece in text.split_inclusive('\n') {
            if self.has_ended {
                break;
            }
            self.take_piece(piece, &mut found);
        }
        found
    }

    /// Ends the answer, and returns its last pieces: the line that was held back, and the end.
    /// Returns no pieces if a directive has already ended the answer.
    ///
    /// ```
    /// use domain::Composed;
    ///
    /// let mut directives = responders::Directives::new("Ada");
    /// assert_eq!(directives.take("[remember] rain"), []);
    /// assert_eq!(directives.end(), [Composed::Memory("rain".into()), Composed::Silent]);
    /// ```
    pub fn end(&mut self) -> Vec<Composed> {
        let mut found = self.end_line();
        if !self.has_ended {
            found.push(if self.has_text {
                Composed::Done
            } else {
                Composed::Silent
            });
        }
        self.has_ended = true;
        found
    }

    /// Returns the pieces of the line that was held back.
    pub(crate) fn end_line(&mut self) -> Vec<Composed> {
        let mut found = Vec::new();
        if !self.has_ended {
            let held = std::mem::take(&mut self.held_line);
            self.take_line(&held, &mut found);
        }
        found
    }

    /// Returns `true` if the answer has neither text nor a directive so far.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_text && self.memories == 0 && !self.has_ended && self.voice == Voice::Own
    }

    /// Processes a piece of a line. Only its last character may be a line break.
    fn take_piece(&mut self, piece: &str, found: &mut Vec<Composed>) {
        if self.line_is_text {
            if self.voice == Voice::Own {
                self.take_text(piece, found);
            }
        } else {
            self.held_line.push_str(piece);
            if !piece.ends_with('\n') && self.may_be_directive(&self.held_line) {
                return;
            }
            let held = std::mem::take(&mut self.held_line);
            self.take_line(&held, found);
        }
        self.line_is_text = !piece.ends_with('\n');
    }

    /// Processes a whole line, or the beginning of a line that cannot become a directive.
    ///
    /// A directive that can only stand alone is left out of an answer that has text: the model has
    /// already answered.
    fn take_line(&mut self, line: &str, found: &mut Vec<Composed>) {
        let own = self.name.strip(line);
        let was_own = self.voice == Voice::Own;
        let is_others = own.is_none()
            && (self.others.iter().any(|name| name.strip(line).is_some())
                || !was_own && !line.trim().is_empty());
        if is_others {
            self.voice = Voice::Other;
            return;
        }
        self.voice = Voice::Own;
        let unnamed = own.unwrap_or(line);
        match Directive::parse(unnamed) {
            Some(Directive::Remember(memory)) => {
                if !memory.is_empty() {
                    self.memories += 1;
                    found.push(Composed::Memory(memory.to_owned()));
                }
            }
            Some(_) if self.has_text => {}
            Some(Directive::Silent) => {
                found.push(Composed::Silent);
                self.has_ended = true;
            }
            Some(Directive::Recall(title)) => {
                found.push(Composed::Recall(title.to_owned()));
                self.has_ended = true;
            }
            None if self.has_text && was_own => self.take_text(line, found),
            None => self.take_text(unnamed, found),
        }
    }

    fn take_text(&mut self, text: &str, found: &mut Vec<Composed>) {
        // White space before the first word is dropped. Otherwise an answer of only white space
        // would count as text.
        let text = if self.has_text {
            text
        } else {
            text.trim_start()
        };
        if !text.is_empty() {
            self.has_text = true;
            found.push(Composed::Text(text.to_owned()));
        }
    }

    /// Returns `true` if a line that begins with `line` may become a directive, or may have a
    /// speaker's name in front.
    fn may_be_directive(&self, line: &str) -> bool {
        self.name.may_follow(line)
            || self.others.iter().any(|name| name.may_follow(line))
            || Directive::may_follow(line)
            || self.name.strip(line).is_some_and(Directive::may_follow)
    }
}

impl<'a> Directive<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let undecorated = line.trim_start_matches(DECORATION);
        let is_decorated = undecorated.len() < line.len();
        let (word, after) = split_word(undecorated.strip_prefix('[')?);
        // Models write `[recall] title`, and also `[recall: title]`.
        let argument = if let Some(argument) = after.strip_prefix(']') {
            argument
        } else {
            let (argument, end) = after.strip_prefix([':', ' '])?.rsplit_once(']')?;
            if !is_decoration(end) {
                return None;
            }
            argument
        };
        let argument = if is_decorated {
            argument.trim_end_matches(|character: char| {
                character.is_whitespace() || DECORATION.contains(&character)
            })
        } else {
            argument
        };
        let argument = argument.trim();
        match word.to_lowercase().as_str() {
            "silent" => is_decoration(argument).then_some(Self::Silent),
            "recall" => {
                let title = argument.trim_matches(DECORATION).trim();
                (!title.is_empty()).then_some(Self::Recall(title))
            }
            "remember" => Some(Self::Remember(argument)),
            _ => None,
        }
    }

    /// Returns `true` if a line that begins with `line` may become a directive.
    fn may_follow(line: &str) -> bool {
        let line = line.trim_start().trim_start_matches(DECORATION);
        let Some(line) = line.strip_prefix('[') else {
            return line.is_empty();
        };
        let (word, after) = split_word(line);
        let word = word.to_lowercase();
        if after.is_empty() {
            DIRECTIVE_WORDS.iter().any(|whole| whole.starts_with(&word))
        } else {
            DIRECTIVE_WORDS.contains(&word.as_str()) && after.starts_with([']', ':', ' '])
        }
    }
}

/// Returns `true` if a text has no words: it may follow a directive.
fn is_decoration(text: &str) -> bool {
    let text = text.trim();
    text.chars()
        .all(|character| DECORATION.contains(&character) || ".!。".contains(character))
}

/// Splits the word at the beginning of a text from the rest.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_alphabetic());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<Composed> {
        let others = ["Bo Stone", "user"];
        let mut directives = Directives::new("Ada Brackwater").without_others(others);
        let mut found: Vec<_> = pieces
            .iter()
            .flat_map(|piece| directives.take(piece))
            .collect();
        found.extend(directives.end());
        // Neighbouring texts are joined, because each way of cutting splits them differently.
        let mut joined: Vec<Composed> = Vec::new();
        for event in found {
            match (joined.last_mut(), event) {
                (Some(Composed::Text(before)), Composed::Text(more)) => before.push_str(&more),
                (_, event) => joined.push(event),
            }
        }
        joined
    }

    fn text(text: &str) -> Composed {
        Composed::Text(text.into())
    }

    fn is_the_same_however_it_is_cut(answer: &str, expected: &[Composed]) {
        assert_eq!(all(&[answer]), expected, "{answer}");
        let cuts: Vec<_> = answer.char_indices().map(|(index, _)| index).collect();
        for first in &cuts {
            for second in cuts.iter().filter(|second| *second >= first) {
                let pieces = [
                    &answer[..*first],
                    &answer[*first..*second],
                    &answer[*second..],
                ];
                assert_eq!(all(&pieces), expected, "{answer}: {first} and {second}");
            }
        }
        let characters: Vec<_> = answer.chars().map(String::from).collect();
        let characters: Vec<_> = characters.iter().map(String::as_str).collect();
        assert_eq!(all(&characters), expected, "{answer}");
    }

    #[test]
    fn an_answer_means_the_same_however_it_is_cut() {
        is_the_same_however_it_is_cut(
            "\n안녕 [silent] is no line\n[remember] the red umbrella \n\
             [ not one\n [remember]\nbye\n[silent]\n",
            &[
                text("안녕 [silent] is no line\n"),
                Composed::Memory("the red umbrella".into()),
                text("[ not one\nbye\n"),
                Composed::Done,
            ],
        );
        is_the_same_however_it_is_cut(
            "**Ada Brackwater:** *Adam* said:\nAda: [Remember: \"rain\"]\nAda: no\n",
            &[
                text("*Adam* said:\n"),
                Composed::Memory("\"rain\"".into()),
                text("Ada: no\n"),
                Composed::Done,
            ],
        );
    }

    #[test]
    fn lines_for_others_are_left_out_however_they_are_cut() {
        is_the_same_however_it_is_cut(
            "Well.\n**Bo:** No!\nReally, no.\nAda: I see.\nBob: is no Bo\nUSER: ok\n\nBye.",
            &[text("Well.\nI see.\nBob: is no Bo\n\nBye."), Composed::Done],
        );
        is_the_same_however_it_is_cut("Bo Stone: Hello, Ada!", &[Composed::Silent]);
        is_the_same_however_it_is_cut(
            "Bo, I agree: yes",
            &[text("Bo, I agree: yes"), Composed::Done],
        );
    }

    #[test]
    fn models_write_directives_in_their_own_way() {
        for silent in [
            "[silent]",
            "`[silent]`",
            "[Silent]",
            "[silent].",
            "`[SILENT]`.",
            " **[silent]** ",
            "Ada Brackwater: [silent]",
            "**Ada:** `[silent]`",
            "[silent]\nbut still",
        ] {
            is_the_same_however_it_is_cut(silent, &[Composed::Silent]);
        }
        for recall in [
            "[recall] the garden",
            "`[Recall] the garden`\nnothing more",
            "[recall] \"the garden\"",
            "[recall: the garden]",
            "Ada: [recall] the garden",
        ] {
            is_the_same_however_it_is_cut(recall, &[Composed::Recall("the garden".into())]);
        }
        for remember in ["[remember] x", "`[Remember] x`", "[remember: x]"] {
            let expected = [Composed::Memory("x".into()), Composed::Silent];
            is_the_same_however_it_is_cut(remember, &expected);
        }
        assert_eq!(all(&["", " \n"]), [Composed::Silent]);
    }

    #[test]
    fn a_directive_that_stands_alone_is_left_out_of_an_answer_with_text() {
        for line in ["[silent]", "[recall] the garden"] {
            let answer = format!("A good answer.\n{line}\n");
            is_the_same_however_it_is_cut(&answer, &[text("A good answer.\n"), Composed::Done]);
        }
    }

    #[test]
    fn text_that_looks_like_a_directive_or_a_name_stays() {
        for answer in [
            "[silently] she left",
            "[recall",
            "[recall]",
            "Adam: hello",
            "Ada said: no",
            "*smiles* hello",
            "[silent] as a fish",
            "[silent ] Good morning",
            "[remember our pact] she whispers.",
            "[recall the day] we met?",
        ] {
            is_the_same_however_it_is_cut(answer, &[text(answer), Composed::Done]);
        }
    }

    #[test]
    fn text_is_not_held_back_once_it_cannot_be_a_directive() {
        let mut directives = Directives::new("Ada");
        assert_eq!(directives.take("[rec"), []);
        assert_eq!(directives.take("ord"), [text("[record")]);
        assert_eq!(directives.take(" it"), [text(" it")]);
    }
}
