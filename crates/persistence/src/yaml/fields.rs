//! The fields of a mapping, read one by one; what is wrong is told with its place, its field and what was expected.

use super::tree::{Broken, Kind, Node, Style};

/// A file's mapping, or one inside it, whose fields are known.
pub(crate) struct Fields<'a> {
    file: &'a str,
    /// How the fields' names begin in what is told.
    path: String,
    node: Option<&'a Node>,
    problems: &'a mut Vec<String>,
}

/// What is wrong at a place of a file.
pub(crate) fn told(file: &str, (line, column): (usize, usize), field: &str, why: &str) -> String {
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    };
    format!("{file}, line {line}, column {column}: {field}{why}")
}

pub(crate) fn broken(file: &str, broken: &Broken) -> String {
    told(file, broken.at, "", &broken.why)
}

impl<'a> Fields<'a> {
    /// Unknown names, names given twice and values that are no mappings become problems.
    pub(crate) fn new(
        file: &'a str,
        path: String,
        node: Option<&'a Node>,
        known: &[&str],
        problems: &'a mut Vec<String>,
    ) -> Self {
        let node = node.filter(|node| !node.is_null());
        match node.map(|node| (&node.kind, node.at)) {
            None => {}
            Some((Kind::Mapping { entries, .. }, _)) => {
                let mut seen = Vec::new();
                for (key, _) in entries {
                    let Kind::Scalar { text: name, .. } = &key.kind else {
                        problems.push(told(file, key.at, &path, "expected a field's name"));
                        continue;
                    };
                    let field = format!("{path}{name}");
                    if !known.contains(&name.as_str()) {
                        let nearest = nearest(name, known);
                        problems.push(told(
                            file,
                            key.at,
                            &field,
                            &format!("unknown field; the nearest known one is `{nearest}`"),
                        ));
                    } else if seen.contains(name) {
                        problems.push(told(file, key.at, &field, "expected once, found again"));
                    }
                    seen.push(name.clone());
                }
            }
            Some((kind, at)) => problems.push(told(
                file,
                at,
                path.trim_end_matches('.'),
                &expected("fields, as `name: value`", kind),
            )),
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

    fn wrong<T>(&mut self, name: &str, node: &Node, what: &str) -> Option<T> {
        self.problem(name, node, &expected(what, &node.kind))
    }

    fn problem<T>(&mut self, name: &str, node: &Node, why: &str) -> Option<T> {
        self.problems.push(told(
            self.file,
            node.at,
            &format!("{}{name}", self.path),
            why,
        ));
        None
    }

    /// Any scalar is its text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let node = self.value(name)?;
        match &node.kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            Kind::Mapping { .. } | Kind::Sequence { .. } => self.wrong(name, node, "text"),
        }
    }

    /// The same for a field that must be there.
    pub(crate) fn required_text(&mut self, name: &str, owner: &Node) -> String {
        let has_fields = owner.is_null() || matches!(owner.kind, Kind::Mapping { .. });
        if has_fields && self.value(name).is_none() {
            return self
                .problem(name, owner, "expected text, found nothing")
                .unwrap_or_default();
        }
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        let node = self.value(name)?;
        match &node.kind {
            Kind::Scalar {
                text,
                style: Style::Plain,
            } if matches!(text.as_str(), "true" | "True" | "TRUE") => Some(true),
            Kind::Scalar {
                text,
                style: Style::Plain,
            } if matches!(text.as_str(), "false" | "False" | "FALSE") => Some(false),
            _ => self.wrong(name, node, "true or false"),
        }
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let node = self.value(name)?;
        let number = match &node.kind {
            Kind::Scalar {
                text,
                style: Style::Plain,
            } => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        if number.is_none() {
            return self.wrong(
                name,
                node,
                &format!("a whole number from {least} to {most}"),
            );
        }
        number
    }

    pub(crate) fn date(&mut self, name: &str) -> Option<chrono::NaiveDate> {
        let node = self.value(name)?;
        let date = match &node.kind {
            Kind::Scalar { text, .. } => text.parse().ok(),
            _ => None,
        };
        if date.is_none() {
            return self.wrong(name, node, "a date, as 2026-01-31");
        }
        date
    }

    /// The items of a list; none where nothing stands.
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
            self.wrong::<()>(name, node, "a list, a line `- …` for each");
            return Vec::new();
        };
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}{name}[{index}].", self.path);
            let mut fields = Fields::new(self.file, path, Some(item), known, self.problems);
            found.push(read(&mut fields, item));
        }
        found
    }
}

fn expected(what: &str, found: &Kind) -> String {
    let found = match found {
        Kind::Scalar { text, .. } => format!(
            "`{}`",
            text.chars().take(40).collect::<String>().escape_debug()
        ),
        Kind::Mapping { .. } => "fields".into(),
        Kind::Sequence { .. } => "a list".into(),
    };
    format!("expected {what}, found {found}")
}

/// The known name that is most like `name`.
fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    let likeness = |known: &&&str| strsim::jaro_winkler(name, known);
    known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .copied()
        .unwrap_or_default()
}
