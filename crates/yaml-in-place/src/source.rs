//! A text with its parsed tree. Methods find lines and columns, and return changed texts.

use std::ops::Range;

use crate::{
    error::{EditError, SyntaxError},
    parse::parse,
    tree::{Kind, Layout, Node},
};

/// A text with its parsed tree and its line end.
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    root: Option<Node>,
    /// The line end for new lines: `\r\n` if the text contains it, otherwise `\n`.
    newline: &'static str,
}

/// The root mapping of a text.
#[derive(Clone, Copy)]
pub(crate) struct Root<'s> {
    /// The column of the keys, from 0.
    pub(crate) indent: usize,
    pub(crate) layout: Layout,
    entries: &'s [(Node, Node)],
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, SyntaxError> {
        Ok(Self {
            text,
            root: parse(text)?,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    /// Returns the root mapping. Returns `None` if the text has no value, or a root that is not a
    /// mapping.
    pub(crate) fn root(&self) -> Option<Root<'_>> {
        match &self.root.as_ref()?.kind {
            Kind::Mapping { entries, layout } => Some(Root {
                indent: entries
                    .first()
                    .map_or(0, |(key, _)| self.column(key.bytes.start)),
                layout: *layout,
                entries,
            }),
            _ => None,
        }
    }

    pub(crate) fn entry(&self, field: &str) -> Option<&(Node, Node)> {
        self.root.as_ref()?.entry(field)
    }

    /// Returns `new` with each `\n` replaced by the line end of the text.
    pub(crate) fn with_newlines(&self, new: &str) -> String {
        new.replace('\n', self.newline)
    }

    /// Returns the text with `bytes` replaced by `new`. Each `\n` in `new` is replaced by the line
    /// end of the text.
    pub(crate) fn replaced(&self, bytes: Range<usize>, new: &str) -> String {
        self.replaced_raw(bytes, &self.with_newlines(new))
    }

    /// Returns the text with `bytes` replaced by `new`. The line ends of `new` are not converted,
    /// because `new` contains lines copied from the text.
    pub(crate) fn replaced_raw(&self, bytes: Range<usize>, new: &str) -> String {
        format!(
            "{}{new}{}",
            &self.text[..bytes.start],
            &self.text[bytes.end..]
        )
    }

    pub(crate) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Returns the byte position after the line that contains `at`, including its line end.
    pub(crate) fn line_end(&self, at: usize) -> usize {
        self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Returns the text from `at` to the end of its line, without the line end.
    pub(crate) fn line_rest(&self, at: usize) -> &'a str {
        self.text[at..self.line_end(at)].trim_end_matches(['\n', '\r'])
    }

    /// Returns the column of a byte position, in characters from 0. A byte order mark is not
    /// counted.
    pub(crate) fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at]
            .trim_start_matches('\u{feff}')
            .chars()
            .count()
    }

    /// Returns the byte position after the colon of a key.
    pub(crate) fn behind_colon(&self, key: &Node) -> usize {
        let end = key.bytes.end;
        end + self.text[end..].find(':').map_or(0, |colon| colon + 1)
    }

    /// Returns the byte position after a value's last line. Comments between the value's lines are
    /// included, blank lines below it are not.
    pub(crate) fn bottom(&self, node: &Node) -> usize {
        let last = node.last();
        if last.is_block_scalar() {
            self.block_scalar_end(last)
        } else {
            self.line_end(last.bytes.end)
        }
    }

    /// Returns the byte position after the last line of a block scalar that is not blank. The
    /// parser counts the blank lines below it as part of the scalar, but they separate it from the
    /// next field.
    pub(crate) fn block_scalar_end(&self, node: &Node) -> usize {
        let trimmed = self.text[node.bytes.clone()].trim_end();
        self.line_end(node.bytes.start + trimmed.len())
    }

    /// Returns versions of the text with a new field, as candidates for [`Source::first_faithful`].
    /// `block` prints the field with an indentation, and `flow` prints it for a mapping in braces.
    pub(crate) fn with_new_field(
        &self,
        block: impl Fn(usize) -> String,
        flow: impl FnOnce() -> String,
    ) -> Vec<String> {
        let end = self.text.len();
        let gap = if self.text.is_empty() || self.text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let Some(root) = self.root() else {
            return vec![self.replaced(end..end, &format!("{gap}{}", block(0)))];
        };
        if root.layout == Layout::Flow {
            let brace = self.root.as_ref().map_or(0, |root| root.bytes.start) + 1;
            let comma = if root.entries.is_empty() { "" } else { ", " };
            return vec![self.replaced(brace..brace, &format!("{}{comma}", flow()))];
        }
        let new = block(root.indent);
        let pad = " ".repeat(root.indent);
        let unpadded = new.strip_prefix(&pad).unwrap_or(&new);
        let first = root.entries.first().map_or(0, |(key, _)| key.bytes.start);
        // A new field at the end of the text can become part of the last value, or follow the end
        // of the document (`...`). Before the first field, neither can happen.
        vec![
            self.replaced(end..end, &format!("{gap}{new}")),
            self.replaced(first..first, &format!("{unpadded}{pad}")),
        ]
    }

    /// Returns the first candidate in which `is_right` holds for the field `changed`, and every
    /// other field reads as before. Fails if there is none.
    pub(crate) fn first_faithful(
        &self,
        candidates: Vec<String>,
        changed: &str,
        is_right: impl Fn(&Node) -> bool,
    ) -> Result<String, EditError> {
        let before = self.root.as_ref().map(|root| other_fields(root, changed));
        let before = before.unwrap_or_default();
        let is_faithful = |text: &String| {
            parse(text).ok().flatten().is_some_and(|root| {
                root.entry(changed)
                    .is_some_and(|(_, value)| is_right(value))
                    && other_fields(&root, changed) == before
            })
        };
        candidates
            .into_iter()
            .find(is_faithful)
            .ok_or_else(|| EditError::ChangesOtherFields {
                field: changed.to_owned(),
            })
    }
}

/// Returns the keys and values of all fields except `changed`, each as a canonical text.
fn other_fields(root: &Node, changed: &str) -> Vec<(String, String)> {
    let Kind::Mapping { entries, .. } = &root.kind else {
        return Vec::new();
    };
    entries
        .iter()
        .filter(|(key, _)| key.text() != Some(changed))
        .map(|(key, value)| (reading(key), reading(value)))
        .collect()
}

/// Returns a canonical text of a value, for comparison. Values that differ only in layout and
/// quotes have equal texts.
fn reading(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => format!("{text:?}"),
        Kind::Sequence { items, .. } => {
            let items: Vec<_> = items.iter().map(reading).collect();
            format!("[{}]", items.join(","))
        }
        Kind::Mapping { entries, .. } => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", reading(key), reading(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}
