//! One value of a YAML text changed at its place: comments, order and everything else stay as they are.
//!
//! Whoever calls reads the result back and compares, so that a text in an unusual shape is refused, not damaged.

use super::{
    fields, print,
    print::{Value, Written},
    tree::{self, Kind, Node, Style},
};

/// Fields of a list's item.
type Item = Vec<(&'static str, Value)>;

type Entries = [(Node, Node)];

/// A text, its tree, and its line ends.
struct Source<'a> {
    text: &'a str,
    root: Option<Node>,
    /// What a line ends with here.
    newline: &'static str,
}

impl<'a> Source<'a> {
    fn new(file: &str, text: &'a str) -> Result<Self, String> {
        let root = tree::parse(text).map_err(|broken| fields::broken(file, &broken))?;
        Ok(Self {
            text,
            root,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    /// `text[start..end]` replaced by `new`, whose line ends become those of the text.
    fn replaced(&self, start: usize, end: usize, new: &str) -> String {
        let new = if self.newline == "\n" {
            new.to_owned()
        } else {
            new.replace('\n', self.newline)
        };
        format!("{}{new}{}", &self.text[..start], &self.text[end..])
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Behind the line end, or the end of the text.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Without the line end.
    fn line_rest(&self, at: usize) -> &'a str {
        self.text[at..self.line_end(at)].trim_end_matches(['\n', '\r'])
    }

    /// The column of a place, from 0, in characters.
    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at]
            .trim_start_matches('\u{feff}')
            .chars()
            .count()
    }

    /// Behind a key's colon.
    fn colon(&self, key: &Node) -> usize {
        key.end + self.text[key.end..].find(':').map_or(0, |colon| colon + 1)
    }

    /// Behind the last line of a value: comments in it, blank lines below it not.
    fn bottom(&self, node: &Node) -> usize {
        let last = last(node);
        match last.kind {
            Kind::Scalar {
                style: Style::Block,
                ..
            } => self.block_end(last),
            _ => self.line_end(last.end),
        }
    }

    /// Behind the last line of a block scalar's text that is not blank.
    fn block_end(&self, node: &Node) -> usize {
        let trimmed = self.text[node.start..node.end].trim_end();
        self.line_end(node.start + trimmed.len())
    }

    /// The fields' column in the root, and whether they stand between braces.
    fn root(&self) -> Option<(usize, bool, &Entries)> {
        match &self.root.as_ref()?.kind {
            Kind::Mapping { entries, flow } => Some((
                entries.first().map_or(0, |(key, _)| self.column(key.start)),
                *flow,
                entries,
            )),
            _ => None,
        }
    }

    /// The text with `field: …` added, in the two places that suit.
    fn with_added(
        &self,
        block: impl Fn(usize) -> String,
        flow: impl FnOnce() -> String,
    ) -> Vec<String> {
        let Some((indent, false, entries)) = self.root() else {
            let Some((_, _, entries)) = self.root() else {
                let gap = if self.text.is_empty() || self.text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                return vec![self.replaced(
                    self.text.len(),
                    self.text.len(),
                    &format!("{gap}{}", block(0)),
                )];
            };
            let brace = self.root.as_ref().map_or(0, |root| root.start) + 1;
            let comma = if entries.is_empty() { "" } else { ", " };
            return vec![self.replaced(brace, brace, &format!("{}{comma}", flow()))];
        };
        let new = block(indent);
        let gap = if self.text.ends_with('\n') { "" } else { "\n" };
        let end = self.text.len();
        let first = entries.first().map_or(0, |(key, _)| key.start);
        // At the end; where that would become part of the last value, or of nothing, before the first field.
        let indented = new.strip_prefix(&" ".repeat(indent)).unwrap_or(&new);
        vec![
            self.replaced(end, end, &format!("{gap}{new}")),
            self.replaced(first, first, &format!("{indented}{}", " ".repeat(indent))),
        ]
    }
}

/// The value that ends last.
fn last(node: &Node) -> &Node {
    match &node.kind {
        Kind::Sequence { items, flow: false } => items.last().map_or(node, last),
        Kind::Mapping {
            entries,
            flow: false,
        } => entries.last().map_or(node, |(_, value)| last(value)),
        _ => node,
    }
}

/// The first of `texts` that has every other field as before.
fn faithful(
    file: &str,
    source: &Source<'_>,
    texts: Vec<String>,
    changed: &str,
) -> Result<String, String> {
    let before = source
        .root
        .as_ref()
        .map(|root| others(root, changed))
        .unwrap_or_default();
    let is_faithful = |text: &String| {
        let Ok(Some(root)) = tree::parse(text) else {
            return false;
        };
        root.entry(changed).is_some() && others(&root, changed) == before
    };
    texts.into_iter().find(is_faithful).ok_or_else(|| {
        format!("{file}: {changed} cannot be written without touching what else stands there")
    })
}

/// All fields but one, as they read.
fn others(root: &Node, changed: &str) -> Vec<(String, String)> {
    let Kind::Mapping { entries, .. } = &root.kind else {
        return Vec::new();
    };
    let read = entries
        .iter()
        .map(|(key, value)| (plain(key), plain(value)));
    let changed = format!("{changed:?}");
    read.filter(|(key, _)| *key != changed).collect()
}

fn plain(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => format!("{text:?}"),
        Kind::Sequence { items, .. } => format!(
            "[{}]",
            items.iter().map(plain).collect::<Vec<_>>().join(",")
        ),
        Kind::Mapping { entries, .. } => {
            format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|(key, value)| plain(key) + ":" + &plain(value))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
    }
}

/// A text in which `field` has `value`.
pub(crate) fn set(file: &str, text: &str, field: &str, value: &Value) -> Result<String, String> {
    let source = Source::new(file, text)?;
    let Some((indent, flow, _)) = source.root() else {
        let added = source.with_added(|indent| print::field(field, value, indent), String::new);
        return faithful(file, &source, added, field);
    };
    let Some((key, node)) = source.root.as_ref().and_then(|root| root.entry(field)) else {
        let added = source.with_added(
            |indent| print::field(field, value, indent),
            || format!("{field}: {}", value.flow()),
        );
        return faithful(file, &source, added, field);
    };
    if flow {
        return faithful(
            file,
            &source,
            vec![source.replaced(node.start, node.end, &value.flow())],
            field,
        );
    }
    let Written { head, body } = value.block();
    let body = print::lines(&body, indent + 2);
    let edited = if matches!(
        node.kind,
        Kind::Scalar {
            style: Style::Block,
            ..
        }
    ) {
        let header = source.colon(key);
        let line = source.line_rest(header);
        let comment = line
            .find(" #")
            .map_or("", |at| &line[line[..at].trim_end().len()..]);
        source.replaced(
            header,
            source.block_end(node).max(source.line_end(header)),
            &format!(" {head}{comment}\n{body}"),
        )
    } else {
        // Where nothing stands yet, its place is before the colon.
        let (start, end) = (
            node.start.max(source.colon(key)),
            node.end.max(source.colon(key)),
        );
        let gap = if source.text[..start].ends_with(':') {
            " "
        } else {
            ""
        };
        source.replaced(
            start,
            source.line_end(end),
            &format!("{gap}{head}{}\n{body}", source.line_rest(end)),
        )
    };
    faithful(file, &source, vec![edited], field)
}

/// `name:` with its items below.
pub(crate) fn list(name: &str, items: &[Item], indent: usize) -> String {
    let pad = " ".repeat(indent);
    if items.is_empty() {
        return format!("{pad}{name}: []\n");
    }
    items.iter().fold(format!("{pad}{name}:\n"), |text, item| {
        text + &print::item(item, indent)
    })
}

/// A text in which the list `field` has the items `new` in the place of `old`, which are what it has.
pub(crate) fn splice(
    file: &str,
    text: &str,
    field: &str,
    old: &[Item],
    new: &[Item],
) -> Result<String, String> {
    if old == new {
        return Ok(text.to_owned());
    }
    let source = Source::new(file, text)?;
    let flow_items = |items: &[Item]| {
        items
            .iter()
            .map(|item| print::flow_item(item))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let entry = source.root.as_ref().and_then(|root| root.entry(field));
    let Some((key, node)) = entry else {
        let added = source.with_added(
            |indent| list(field, new, indent),
            || format!("{field}: [{}]", flow_items(new)),
        );
        return faithful(file, &source, added, field);
    };
    let (indent, flow, _) = source.root().unwrap_or_default();
    let edited = match &node.kind {
        Kind::Sequence { items, flow: false } if items.len() == old.len() => {
            let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
            let tail = old[same..]
                .iter()
                .rev()
                .zip(new[same..].iter().rev())
                .take_while(|(a, b)| a == b)
                .count();
            let (gone, added) = (
                &items[same..items.len() - tail],
                &new[same..new.len() - tail],
            );
            below_key(&source, key, items, (same, gone), added, new.is_empty())
        }
        // What is said between brackets stays there, with its comments.
        Kind::Sequence { items, flow: true }
            if (flow || !items.is_empty()) && new.starts_with(old) =>
        {
            let comma = if items.is_empty() { "" } else { ", " };
            let end = node.end - 1;
            source.replaced(
                end,
                end,
                &format!("{comma}{}", flow_items(&new[old.len()..])),
            )
        }
        _ if source.text[node.start..node.end].contains('#') => {
            return Err(format!("{file}: comments stand inside {field}"));
        }
        _ if flow => source.replaced(node.start, node.end, &format!("[{}]", flow_items(new))),
        _ => {
            let colon = source.colon(key);
            let rest = source.line_rest(node.end.max(colon));
            let items: String = new.iter().map(|item| print::item(item, indent)).collect();
            source.replaced(
                colon,
                source.line_end(node.end.max(colon)),
                &format!("{rest}\n{items}"),
            )
        }
    };
    faithful(file, &source, vec![edited], field)
}

/// The text with the items `gone`, from index `from` on, replaced by `added`.
fn below_key(
    source: &Source<'_>,
    key: &Node,
    items: &[Node],
    (from, gone): (usize, &[Node]),
    added: &[Item],
    is_empty: bool,
) -> String {
    // Behind the item before, so that a comment stays with the item below it; before the first item, above it.
    let above = match from.checked_sub(1) {
        Some(before) => source.bottom(&items[before]),
        None => dash(source, source.line_end(key.end), &items[0]),
    };
    let indent = source.column(
        items
            .first()
            .map_or(above, |item| dash_in_line(source, item)),
    );
    let new: String = added.iter().map(|item| print::item(item, indent)).collect();
    let gap = if source.text[..above].ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let mut text = String::new();
    let mut kept = above;
    for item in gone {
        let start = dash(source, kept, item);
        text.push_str(&source.text[kept..start]);
        kept = source.bottom(item);
    }
    let edited = source.replaced(above, kept, &format!("{gap}{new}{text}"));
    if !is_empty {
        return edited;
    }
    let colon = source.colon(key);
    format!("{} []{}", &edited[..colon], &edited[colon..])
}

/// The beginning of the line with the item's dash, which is not above `from`.
fn dash(source: &Source<'_>, from: usize, item: &Node) -> usize {
    let mut line = source.line_start(item.start);
    while line > from && !source.text[line..].trim_start_matches(' ').starts_with('-') {
        line = source.line_start(line - 1);
    }
    line.max(from)
}

/// The item's dash.
fn dash_in_line(source: &Source<'_>, item: &Node) -> usize {
    let line = dash(source, 0, item);
    line + source.text[line..].find('-').unwrap_or(0)
}
