//! The name of a speaker in front of a line, as models write it although they are asked not to.

/// The characters with which models decorate a name.
const DECORATION: [char; 5] = ['*', '_', '"', '[', ']'];

/// The name of a speaker, and its first word.
#[derive(Debug)]
pub(crate) struct SpeakerName {
    /// In the order in which they are tried. Empty names are left out.
    forms: Vec<String>,
}

impl SpeakerName {
    pub(crate) fn new(name: &str) -> Self {
        let first = name.split_whitespace().next();
        let forms = [Some(name.trim()), first].into_iter().flatten();
        Self {
            forms: forms
                .filter(|form| !form.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Returns the rest of a line that begins with the name and a colon.
    pub(crate) fn strip<'a>(&self, line: &'a str) -> Option<&'a str> {
        let line = line.trim_start().trim_start_matches(DECORATION);
        self.forms.iter().find_map(|form| {
            let rest = strip_ignoring_case(line, form)?.trim_start_matches(DECORATION);
            let rest = rest.strip_prefix([':', '：'])?;
            Some(rest.trim_start_matches(DECORATION_AFTER).trim_start())
        })
    }

    /// Returns `true` if a line that begins with `line` may begin with the name and a colon.
    pub(crate) fn may_follow(&self, line: &str) -> bool {
        let line = line.trim_start().trim_start_matches(DECORATION);
        self.forms.iter().any(|form| {
            strip_ignoring_case(form, line).is_some()
                || strip_ignoring_case(line, form)
                    .is_some_and(|rest| rest.trim_start_matches(DECORATION).is_empty())
        })
    }
}

/// The decoration that may end behind the colon. A bracket may begin a directive there.
const DECORATION_AFTER: [char; 2] = ['*', '_'];

/// Returns the rest of `text` behind `prefix`, if it begins with it apart from capitals.
fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for expected in prefix.chars() {
        let found = rest.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    Some(rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_front_of_a_line_is_recognised_as_models_write_it() {
        let name = SpeakerName::new("Ada Brackwater");
        for line in [
            "Ada Brackwater: hello",
            "ada brackwater: hello",
            "Ada: hello",
            "**Ada:** hello",
            "**Ada**: hello",
            "[Ada]: hello",
            " Ada： hello",
        ] {
            assert_eq!(name.strip(line), Some("hello"), "{line}");
        }
        for line in ["Adam: hello", "Ada said: hello", "hello", "Ada", ": hello"] {
            assert_eq!(name.strip(line), None, "{line}");
        }
        assert_eq!(name.strip("Ada: [silent]"), Some("[silent]"));
        assert_eq!(SpeakerName::new(" ").strip(": hello"), None);
    }

    #[test]
    fn a_line_is_undecided_as_long_as_the_name_may_follow() {
        let name = SpeakerName::new("Ada Brackwater");
        for line in ["", "*", "A", "Ada", "ada b", "Ada Brackwater", "**Ada**"] {
            assert!(name.may_follow(line), "{line}");
        }
        for line in ["Adam", "Ada: ", "Ada Brackwater s", "hello"] {
            assert!(!name.may_follow(line), "{line}");
        }
    }
}
