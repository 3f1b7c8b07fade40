//! Parsing of a text into a tree of nodes.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle as ParserStyle, Tag};

use crate::{
    error::{Position, SyntaxError},
    tree::{Kind, Layout, Node, ScalarStyle},
};

/// The greatest depth of nested collections. Walking and dropping a tree recurse once per level, so
/// greater depths could overflow the stack.
const MAX_DEPTH: usize = 32;
/// The greatest number of values in a tree. Aliases are expanded, and nested aliases make the tree
/// grow exponentially with the length of the text.
const MAX_NODES: usize = 2_000_000;
/// The greatest number of bytes of all scalars in a tree, including the copies for anchors and
/// aliases. Without this bound, a text of 1 MiB with one long scalar and many aliases of this
/// scalar would exhaust the memory.
const MAX_SCALAR_BYTES: usize = 64 * 1024 * 1024;

/// Parses a text with at most one document. Returns `None` if the text is empty or contains only
/// comments.
///
/// Fails for a text with more than 32 levels, and for a text that has more than 2,000,000 values or
/// 64 MiB of scalars after its aliases are expanded.
///
/// ```
/// let root = yaml_in_place::parse("# sky\nname: 하늘\n")?.expect("the text has a field");
/// let (_, name) = root.entry("name").expect("the field exists");
/// assert_eq!(name.text(), Some("하늘"));
/// assert_eq!(name.position.to_string(), "line 2, column 7");
///
/// let error = yaml_in_place::parse("name: [\n").expect_err("the bracket is not closed");
/// assert_eq!(error.position.line, 2);
/// # Ok::<(), yaml_in_place::SyntaxError>(())
/// ```
pub fn parse(text: &str) -> Result<Option<Node>, SyntaxError> {
    let char_starts = text
        .char_indices()
        .map(|(byte, _)| byte)
        .chain([text.len()])
        .collect();
    let mut builder = Builder {
        text,
        char_starts,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        size: Size::default(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| SyntaxError {
            position: position(*error.marker()),
            reason: error.info().to_owned(),
        })?;
        builder.add(event, span.start, span.end)?;
    }
    Ok(builder.root)
}

/// A collection whose end has not been read yet.
struct OpenCollection {
    node: Node,
    anchor: usize,
    /// The key of a mapping whose value has not been read yet.
    key: Option<Node>,
}

/// The number of values in a tree, and the number of bytes of its scalars.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    scalar_bytes: usize,
}

impl Size {
    fn of(kind: &Kind) -> Self {
        let mut size = Self {
            nodes: 1,
            scalar_bytes: 0,
        };
        match kind {
            Kind::Scalar { text, .. } => size.scalar_bytes = text.len(),
            Kind::Sequence { items, .. } => {
                for item in items {
                    size.add(Self::of(&item.kind));
                }
            }
            Kind::Mapping { entries, .. } => {
                for (key, value) in entries {
                    size.add(Self::of(&key.kind));
                    size.add(Self::of(&value.kind));
                }
            }
        }
        size
    }

    fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.scalar_bytes += other.scalar_bytes;
    }
}

struct Builder<'a> {
    text: &'a str,
    /// The byte position of each character, because the parser reports positions in characters.
    char_starts: Vec<usize>,
    open: Vec<OpenCollection>,
    root: Option<Node>,
    /// The values with anchors, each with its size.
    anchors: HashMap<usize, (Node, Size)>,
    /// The size of all values read so far, including the copies for anchors and aliases.
    size: Size,
}

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

fn refused<T>(position: Position, reason: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError {
        position,
        reason: reason.into(),
    })
}

fn is_str(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.suffix == "str" || (tag.handle.is_empty() && tag.suffix == "!"))
}

impl Builder<'_> {
    fn byte(&self, marker: Marker) -> usize {
        self.char_starts
            .get(marker.index())
            .copied()
            .unwrap_or(self.text.len())
    }

    fn add(&mut self, event: Event<'_>, start: Marker, end: Marker) -> Result<(), SyntaxError> {
        let bytes = self.byte(start)..self.byte(end);
        let node = |kind| Node {
            position: position(start),
            bytes: bytes.clone(),
            kind,
        };
        match event {
            Event::DocumentStart(_) if self.root.is_some() => refused(
                position(start),
                "expected the end of the file, found a second document",
            ),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let Some((named, size)) = self.anchors.get(&anchor) else {
                    return refused(
                        position(start),
                        "an alias must not be inside the value that it names",
                    );
                };
                // Checked before the value is copied.
                Self::grow(&mut self.size, *size, position(start))?;
                let node = node(named.kind.clone());
                self.attach(node);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = node(Kind::Scalar {
                    text: text.into_owned(),
                    style: match style {
                        ParserStyle::Plain if is_str(tag.as_deref()) => ScalarStyle::Quoted,
                        ParserStyle::Plain => ScalarStyle::Plain,
                        ParserStyle::SingleQuoted | ParserStyle::DoubleQuoted => {
                            ScalarStyle::Quoted
                        }
                        ParserStyle::Literal | ParserStyle::Folded => ScalarStyle::Block,
                    },
                });
                let end = match style {
                    ParserStyle::SingleQuoted => self.quote_end(node.bytes.start, '\''),
                    ParserStyle::DoubleQuoted => self.quote_end(node.bytes.start, '"'),
                    _ => None,
                };
                let bytes = node.bytes.start..end.unwrap_or(node.bytes.end);
                self.close(Node { bytes, ..node }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let layout = self.layout(start, '[');
                let items = Vec::new();
                self.begin(node(Kind::Sequence { items, layout }), anchor)
            }
            Event::MappingStart(anchor, _) => {
                let layout = self.layout(start, '{');
                let entries = Vec::new();
                self.begin(node(Kind::Mapping { entries, layout }), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let OpenCollection {
                    mut node, anchor, ..
                } = self.open.pop().expect("the parser closes what it opened");
                node.bytes.end = match &node.kind {
                    Kind::Sequence {
                        layout: Layout::Flow,
                        ..
                    }
                    | Kind::Mapping {
                        layout: Layout::Flow,
                        ..
                    } => self.byte(start) + 1,
                    Kind::Sequence { items, .. } => {
                        items.last().map_or(node.bytes.start, |item| item.bytes.end)
                    }
                    Kind::Mapping { entries, .. } => entries
                        .last()
                        .map_or(node.bytes.start, |(_, value)| value.bytes.end),
                    Kind::Scalar { .. } => node.bytes.end,
                };
                self.close(node, anchor)
            }
        }
    }

    /// Returns the byte position of a value's first character after its anchor, tag and comments.
    fn content_start(&self, start: usize) -> usize {
        let mut rest = &self.text[start..];
        loop {
            rest = rest.trim_start();
            let end = if rest.starts_with(['&', '!']) {
                rest.find(char::is_whitespace)
            } else if rest.starts_with('#') {
                rest.find('\n')
            } else {
                break;
            };
            rest = &rest[end.unwrap_or(rest.len())..];
        }
        self.text.len() - rest.len()
    }

    /// Returns the byte position after the closing quote of a quoted scalar. The parser's own span
    /// extends to the end of the line, including a comment.
    fn quote_end(&self, start: usize, quote: char) -> Option<usize> {
        let open = self.content_start(start);
        let mut chars = self.text[open..].char_indices().peekable();
        chars.next().filter(|(_, c)| *c == quote)?;
        while let Some((at, c)) = chars.next() {
            if c == '\\' && quote == '"' {
                chars.next();
            } else if c == quote {
                // Inside single quotes, two single quotes stand for one quote in the text.
                if quote == '"' || chars.next_if(|(_, next)| *next == quote).is_none() {
                    return Some(open + at + quote.len_utf8());
                }
            }
        }
        None
    }

    /// Returns the layout of a collection, which the parser does not report. `bracket` is the
    /// character that begins a collection of this kind in flow layout.
    fn layout(&self, start: Marker, bracket: char) -> Layout {
        if self.text[self.content_start(self.byte(start))..].starts_with(bracket) {
            Layout::Flow
        } else {
            Layout::Block
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        if self.open.len() == MAX_DEPTH {
            let reason = format!("expected at most {MAX_DEPTH} levels");
            return refused(node.position, reason);
        }
        self.open.push(OpenCollection {
            node,
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Adds to the size of the tree. Fails if the tree exceeds a bound.
    fn grow(total: &mut Size, more: Size, position: Position) -> Result<(), SyntaxError> {
        total.add(more);
        if total.nodes > MAX_NODES {
            return refused(position, format!("expected at most {MAX_NODES} values"));
        }
        if total.scalar_bytes > MAX_SCALAR_BYTES {
            let reason = format!("expected at most {MAX_SCALAR_BYTES} bytes of text");
            return refused(position, reason);
        }
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        let scalar_bytes = node.text().map_or(0, str::len);
        let own = Size {
            nodes: 1,
            scalar_bytes,
        };
        Self::grow(&mut self.size, own, node.position)?;
        if anchor > 0 {
            let size = Size::of(&node.kind);
            Self::grow(&mut self.size, size, node.position)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.attach(node);
        Ok(())
    }

    /// Adds a complete value to the open collection, or makes it the root.
    fn attach(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.kind {
            Kind::Sequence { items, .. } => items.push(node),
            Kind::Mapping { entries, .. } => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            Kind::Scalar { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_bytes_and_positions() {
        let text = "# 하늘\nname: 하늘  # sky\nlist: [a, {b: c}] # flow\n";
        let root = parse(text).unwrap().unwrap();
        let (_, name) = root.entry("name").unwrap();
        assert_eq!(&text[name.bytes.clone()], "하늘");
        let (line, column) = (2, 7);
        assert_eq!(name.position, Position { line, column });
        let (_, list) = root.entry("list").unwrap();
        assert_eq!(&text[list.bytes.clone()], "[a, {b: c}]");
    }

    #[test]
    fn a_quoted_scalar_ends_at_its_closing_quote() {
        for (text, wanted) in [
            ("a: 'it''s' # c\n", "'it''s'"),
            ("a: \"\\\\\\\"\"   # c\n", "\"\\\\\\\"\""),
            ("a: &x 'b' # c\n", "&x 'b'"),
            ("a: !!str # c\n  \"b\"  # d\n", "!!str # c\n  \"b\""),
            ("{a: '' , b: 1}", "''"),
        ] {
            let root = parse(text).unwrap().unwrap();
            let (_, node) = root.entry("a").unwrap();
            assert_eq!(&text[node.bytes.clone()], wanted, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_grows_without_bound_or_is_too_deep_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let names = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb = format!("{bomb}a{n}: &a{n} [{names}]\n");
        }
        assert!(parse(&bomb).unwrap_err().reason.contains("values"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn aliases_of_a_long_text_are_refused_before_they_exhaust_the_memory() {
        let text = "x".repeat(1024 * 1024);
        let aliases =
            |count: usize| format!("a: &a {text}\nb: [{}]\n", vec!["*a"; count].join(", "));
        assert!(parse(&aliases(50)).is_ok());
        let error = parse(&aliases(8_000)).unwrap_err();
        assert!(error.reason.contains("bytes of text"), "{error}");
    }
}
