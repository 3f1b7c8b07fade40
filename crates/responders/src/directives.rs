//! What a model says about its answer inside the answer, on lines of their own, whatever protocol carries it.

use domain::Composed;

/// What the system prompt tells of it.
pub const INSTRUCTIONS: &str = "\n# How to answer\n\
Answer in the conversation as yourself, without your name before it.\n\
If you have nothing to add, answer with the single line `[silent]` and nothing else.\n\
To keep something for later, write a line `[remember] what happened`; nobody else sees it.\n\
To look into one of your long-term memories before you answer, answer with the single line `[recall] its title`.\n";

/// Takes text as it arrives and gives what it is: a line that may yet turn out to be a directive is held back until it is
/// known.
///
/// ```
/// use domain::Composed;
/// let mut directives = responders::Directives::default();
/// assert_eq!(directives.take("Good mor"), [Composed::Text("Good mor".into())]);
/// assert_eq!(directives.take("ning!\n[remem"), [Composed::Text("ning!\n".into())]);
/// assert_eq!(directives.take("ber] the red umbrella\n"), [Composed::Memory("the red umbrella".into())]);
/// assert_eq!(directives.end(), [Composed::Done]);
/// ```
#[derive(Debug, Default)]
pub struct Directives {
    /// The line so far, while it may be a directive.
    held: String,
    /// Whether the line is not a directive, so that the rest of it is text.
    is_text: bool,
    said: bool,
    ended: bool,
}

impl Directives {
    /// More text.
    pub fn take(&mut self, text: &str) -> Vec<Composed> {
        let mut found = Vec::new();
        for piece in text.split_inclusive('\n') {
            if self.ended {
                break;
            }
            self.piece(piece, &mut found);
        }
        found
    }

    /// The answer is complete.
    pub fn end(&mut self) -> Vec<Composed> {
        let mut found = Vec::new();
        if !self.ended {
            let held = std::mem::take(&mut self.held);
            self.line(&held, &mut found);
        }
        if !self.ended {
            found.push(if self.said {
                Composed::Done
            } else {
                Composed::Silent
            });
        }
        self.ended = true;
        found
    }

    fn piece(&mut self, piece: &str, found: &mut Vec<Composed>) {
        if self.is_text {
            self.text(piece, found);
        } else {
            self.held.push_str(piece);
            if !piece.ends_with('\n') && may_be_directive(&self.held) {
                return;
            }
            let held = std::mem::take(&mut self.held);
            self.line(&held, found);
        }
        self.is_text = !piece.ends_with('\n');
    }

    /// A line, or so much of one that it is no directive.
    fn line(&mut self, line: &str, found: &mut Vec<Composed>) {
        let trimmed = line.trim();
        let named = |name: &str| trimmed.strip_prefix(name).map(str::trim);
        if trimmed == "[silent]" && !self.said {
            found.push(Composed::Silent);
            self.ended = true;
        } else if let Some(title) = named("[recall]").filter(|title| !title.is_empty()) {
            found.push(Composed::Recall(title.to_owned()));
            self.ended = true;
        } else if let Some(memory) = named("[remember]") {
            found.extend((!memory.is_empty()).then(|| Composed::Memory(memory.to_owned())));
        } else if trimmed != "[silent]" {
            self.text(line, found);
        }
    }

    fn text(&mut self, text: &str, found: &mut Vec<Composed>) {
        // What comes before the first word is no answer yet.
        let text = if self.said { text } else { text.trim_start() };
        if !text.is_empty() {
            self.said = true;
            found.push(Composed::Text(text.to_owned()));
        }
    }
}

/// Whether a line that begins so may become a directive.
fn may_be_directive(line: &str) -> bool {
    let line = line.trim_start();
    let begun = |name: &&str| name.starts_with(line) || line.starts_with(*name);
    line.is_empty() || ["[silent]", "[recall]", "[remember]"].iter().any(begun)
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
        // Neighbouring texts are one.
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
    fn however_an_answer_is_cut_it_says_the_same() {
        let answer = "\n안녕 [silent] is no line\n[remember] the red umbrella \n[ not one\n [remember]\nbye\n[silent]\n";
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
        let places: Vec<_> = answer.char_indices().map(|(at, _)| at).collect();
        for first in &places {
            for second in places.iter().filter(|second| *second >= first) {
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
        let letters: Vec<_> = answer.chars().map(String::from).collect();
        assert_eq!(
            all(&letters.iter().map(String::as_str).collect::<Vec<_>>()),
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
    fn text_is_not_held_back_longer_than_a_directive_takes() {
        let mut directives = Directives::default();
        assert_eq!(directives.take("[rec"), []);
        assert_eq!(directives.take("ord"), [text("[record")]);
        assert_eq!(directives.take(" it"), [text(" it")]);
    }
}
