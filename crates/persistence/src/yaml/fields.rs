//! A reader of the fields of a YAML mapping. It collects all problems. Each problem names its
//! position, its field and the value that was expected.

use std::collections::HashSet;

use yaml_in_place::{Kind, Node, Position};

/// A reader of one mapping of a file: the root mapping, or a mapping inside it.
pub(crate) struct Fields<'a> {
    file: &'a str,
    /// The prefix of field names in problems, such as `recent_events[0].`. Empty for the root
    /// mapping.
    path: String,
    node: Option<&'a Node>,
    problems: &'a mut Vec<String>,
}

/// Returns the text of a problem with its file and position. `field` is empty if the problem
/// concerns no field.
pub(crate) fn problem(file: &str, position: Position, field: &str, reason: &str) -> String {
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    };
    format!("{file}, {position}: {field}{reason}")
}

impl<'a> Fields<'a> {
    /// Returns a reader of `node`. A missing or null node has no fields. Adds a problem for each
    /// unknown or repeated field name, and for a node that is not a mapping.
    pub(crate) fn new(
        file: &'a str,
        path: String,
        node: Option<&'a Node>,
        known: &[&str],
        problems: &'a mut Vec<String>,
    ) -> Self {
        let node = node.filter(|node| !node.is_null());
        if let Some(node) = node {
            check_names(file, &path, node, known, problems);
        }
        Self {
            file,
            path,
            node,
            problems,
        }
    }

    fn value(&self, name: &str) -> Option<&'a Node> {
        let (_, value) = self.node?.entry(name)?;
        (!value.is_null()).then_some(value)
    }

    fn wrong<T>(&mut self, name: &str, node: &Node, wanted: &str) -> Option<T> {
        self.note(name, node, &expected(wanted, &node.kind))
    }

    /// Adds a problem with a field. Always returns `None`, which callers return as the field's
    /// value.
    fn note<T>(&mut self, name: &str, node: &Node, reason: &str) -> Option<T> {
        let field = format!("{}{name}", self.path);
        self.problems
            .push(problem(self.file, node.position, &field, reason));
        None
    }

    /// Reads a text. Returns `None` if the field is missing. Every scalar is accepted: in
    /// `in_a_nutshell: 5`, the text is `5`.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let node = self.value(name)?;
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong(name, node, "text"),
        }
    }

    /// Reads a text from a required field. If the field is missing, adds a problem at `owner`,
    /// which is the mapping that must contain the field, and returns an empty text.
    pub(crate) fn required_text(&mut self, name: &str, owner: &Node) -> String {
        let has_fields = owner.is_null() || matches!(owner.kind, Kind::Mapping { .. });
        if has_fields && self.value(name).is_none() {
            return self
                .note(name, owner, "expected text, found nothing")
                .unwrap_or_default();
        }
        self.text(name).unwrap_or_default()
    }

    /// Reads `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        let node = self.value(name)?;
        node.as_bool()
            .or_else(|| self.wrong(name, node, "true or false"))
    }

    /// Reads a whole number from `least` to `most`, both inclusive.
    pub(crate) fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let node = self.value(name)?;
        let number = node
            .as_i64()
            .filter(|number| (least..=most).contains(number));
        let wanted = || format!("a whole number from {least} to {most}");
        number.or_else(|| self.wrong(name, node, &wanted()))
    }

    /// Reads a date such as `2026-01-31`.
    pub(crate) fn date(&mut self, name: &str) -> Option<chrono::NaiveDate> {
        let node = self.value(name)?;
        let date = node.text().and_then(|text| text.parse().ok());
        date.or_else(|| self.wrong(name, node, "a date, as 2026-01-31"))
    }

    /// Reads each item of a list of mappings with `read`. Returns no items if the list is missing.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        known: &[&str],
        read: impl Fn(&mut Fields<'_>, &Node) -> T,
    ) -> Vec<T> {
        let Some(node) = self.value(name) else {
            return Vec::new();
        };
        let Kind::Sequence { items, .. } = &node.kind else {
            self.wrong::<()>(name, node, "a list, a line `- …` for each item");
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}{name}[{index}].", self.path);
            let mut fields = Fields::new(self.file, path, Some(item), known, self.problems);
            values.push(read(&mut fields, item));
        }
        values
    }
}

/// The number of problems after which the names of further fields are not checked. A file with that
/// many problems is not a persona, and all of them would fill the log.
const MAX_PROBLEMS: usize = 100;

fn check_names(file: &str, path: &str, node: &Node, known: &[&str], problems: &mut Vec<String>) {
    let Kind::Mapping { entries, .. } = &node.kind else {
        let reason = expected("fields, as `name: value`", &node.kind);
        let owner = path.trim_end_matches('.');
        problems.push(problem(file, node.position, owner, &reason));
        return;
    };
    let mut earlier = HashSet::new();
    for (key, _) in entries {
        if problems.len() >= MAX_PROBLEMS {
            return;
        }
        let Some(name) = key.text() else {
            let owner = path.trim_end_matches('.');
            let reason = expected("the name of a field", &key.kind);
            problems.push(problem(file, key.position, owner, &reason));
            continue;
        };
        let field = format!("{path}{name}");
        if !known.contains(&name) {
            let reason = format!("unknown field; did you mean `{}`?", nearest(name, known));
            problems.push(problem(file, key.position, &field, &reason));
        } else if earlier.contains(&name) {
            let reason = "the field is there twice; remove one";
            problems.push(problem(file, key.position, &field, reason));
        }
        earlier.insert(name);
    }
}

fn expected(wanted: &str, found: &Kind) -> String {
    let found = match found {
        Kind::Scalar { text, .. } => {
            // Shortened, because long texts would fill the log.
            let start: String = text.chars().take(40).collect();
            format!("`{}`", start.escape_debug())
        }
        Kind::Mapping { .. } => "fields".into(),
        Kind::Sequence { .. } => "a list".into(),
    };
    format!("expected {wanted}, found {found}")
}

/// Returns the name in `known` that is most similar to `name`.
fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    let likeness = |known: &&&str| strsim::jaro_winkler(name, known);
    known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .copied()
        .unwrap_or_default()
}
