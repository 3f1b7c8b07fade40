//! Directives: lines of an answer by which a model stays silent, stores a memory or recalls one.
//!
//! Directives are plain text, so they work with every model and every protocol.

use domain::Composed;

/// The part of the system prompt that explains the directives to a model.
pub const INSTRUCTIONS: &str = "\n# How to answer\n\
Answer in the conversation as yourself, without your name before it.\n\
If you have nothing to add, answer with the single line `[silent]` and nothing else.\n\
To keep something for later, write a line `[remember] what happened`; nobody else sees it.\n\
To look into one of your long-term memories before you answer, \
answer with the single line `[recall] its title`.\n";

/// A parser that separates directives from text while an answer streams.
///
/// A line is held back as long as it may become a directive. All other text is returned at once.
///
/// ```
/// use domain::Composed;
/// let mut directives = responders::Directives::default();
/// assert_eq!(directives.take("Good mor"), [Composed::Text("Good mor".into())]);
/// assert_eq!(directives.take("ning!\n[remem"), [Composed::Text("ning!\n".into())]);
/// let kept = directives.take("ber] the red umbrella\n");
/// assert_eq!(kept, [Composed::Memory("the red umbrella".into())]);
/// assert_eq!(directives.end(), [Composed::Done]);
/// ```
#[derive(Debug, Default)]
pub struct Directives {
    /// The beginning of the current line, as long as the line may become a directive.
    held_line: String,
    /// `true` if the current line is not a directive. The rest of the line is text then.
    line_is_text: bool,
    /// `true` once text was returned.
    has_text: bool,
    has_ended: bool,
}

impl Directives {
    /// Adds `text`, the next part of the answer, and returns the pieces that are now complete.
    /// After a directive that ends the answer, returns no pieces.
    ///
    /// ```
    /// use domain::Composed;
    ///
    /// let mut directives = responders::Directives::default();
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
    /// let mut directives = responders::Directives::default();
    /// assert_eq!(directives.take("[remember] rain"), []);
    /// assert_eq!(directives.end(), [Composed::Memory("rain".into()), Composed::Silent]);
    /// ```
    pub fn end(&mut self) -> Vec<Composed> {
        let mut found = Vec::new();
        if !self.has_ended {
            let held = std::mem::take(&mut self.held_line);
            self.take_line(&held, &mut found);
        }
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

    /// Processes a piece of a line. Only its last character may be a line break.
    fn take_piece(&mut self, piece: &str, found: &mut Vec<Composed>) {
        if self.line_is_text {
            self.take_text(piece, found);
        } else {
            self.held_line.push_str(piece);
            if !piece.ends_with('\n') && may_be_directive(&self.held_line) {
                return;
            }
            let held = std::mem::take(&mut self.held_line);
            self.take_line(&held, found);
        }
        self.line_is_text = !piece.ends_with('\n');
    }

    /// Processes a whole line, or the beginning of a line that cannot become a directive.
    fn take_line(&mut self, line: &str, found: &mut Vec<Composed>) {
        let trimmed = line.trim();
        let named = |name: &str| trimmed.strip_prefix(name).map(str::trim);
        if trimmed == "[silent]" && !self.has_text {
            found.push(Composed::Silent);
            self.has_ended = true;
        } else if let Some(title) = named("[recall]").filter(|title| !title.is_empty()) {
            found.push(Composed::Recall(title.to_owned()));
            self.has_ended = true;
        } else if let Some(memory) = named("[remember]") {
            found.extend((!memory.is_empty()).then(|| Composed::Memory(memory.to_owned())));
        } else if trimmed != "[silent]" {
            self.take_text(line, found);
        }
    }

    fn take_text(&mut self, text: &str, found: &mut Vec<Composed>) {
        // White space before the first word is dropped. Otherwise an answer of only white space
        // would not count as silence.
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
}

/// Returns `true` if a line that begins with `line` may become a directive.
fn may_be_directive(line: &str) -> bool {
    let line = line.trim_start();
    let is_beginning = |name: &&str| name.starts_with(line) || line.starts_with(*name);
    line.is_empty()
        || ["[silent]", "[recall]", "[remember]"]
            .iter()
            .any(is_beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<Composed> {
        let mut directives = Directives::default();
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

    #[test]
    fn an_answer_means_the_same_however_it_is_cut() {
        let answer = "\n안녕 [silent] is no line\n[remember] the red umbrella \n\
                      [ not one\n [remember]\nbye\n[silent]\n";
        let whole = all(&[answer]);
        assert_eq!(
            whole,
            [
                text("안녕 [silent] is no line\n"),
                Composed::Memory("the red umbrella".into()),
                text("[ not one\nbye\n"),
                Composed::Done
            ]
        );
        let cuts: Vec<_> = answer.char_indices().map(|(index, _)| index).collect();
        for first in &cuts {
            for second in cuts.iter().filter(|second| *second >= first) {
                assert_eq!(
                    all(&[
                        &answer[..*first],
                        &answer[*first..*second],
                        &answer[*second..]
                    ]),
                    whole,
                    "cut at {first} and {second}"
                );
            }
        }
        let characters: Vec<_> = answer.chars().map(String::from).collect();
        assert_eq!(
            all(&characters.iter().map(String::as_str).collect::<Vec<_>>()),
            whole
        );
    }

    #[test]
    fn a_line_that_ends_the_answer_ends_it() {
        assert_eq!(all(&["[silent]"]), [Composed::Silent]);
        assert_eq!(all(&[" [silent]\nbut still"]), [Composed::Silent]);
        assert_eq!(
            all(&["[recall] the garden\nnothing more"]),
            [Composed::Recall("the garden".into())]
        );
        assert_eq!(all(&["", " \n"]), [Composed::Silent]);
        assert_eq!(
            all(&["[remember] x"]),
            [Composed::Memory("x".into()), Composed::Silent]
        );
    }

    #[test]
    fn text_is_not_held_back_once_it_cannot_be_a_directive() {
        let mut directives = Directives::default();
        assert_eq!(directives.take("[rec"), []);
        assert_eq!(directives.take("ord"), [text("[record")]);
        assert_eq!(directives.take(" it"), [text(" it")]);
    }
}
