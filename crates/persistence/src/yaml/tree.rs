//! A YAML text as a tree whose nodes know where they stand.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

/// Deeper ones are none of ours; dropping them would need as deep a stack.
const MAX_DEPTH: usize = 32;
/// An alias of aliases grows without bound.
const MAX_NODES: usize = 2_000_000;

/// A value in a text.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Line and column, from 1.
    pub(crate) at: (usize, usize),
    /// Bytes in the text. Of a block scalar: without its header. Of a block mapping or sequence: to its last value's end.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar {
        text: String,
        style: Style,
    },
    Mapping {
        entries: Vec<(Node, Node)>,
        flow: bool,
    },
    Sequence {
        items: Vec<Node>,
        flow: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// Literal or folded.
    Block,
}

/// Why a text is no YAML that can be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) at: (usize, usize),
    pub(crate) why: String,
}

impl Node {
    /// Whether nothing, or an explicit null, stands here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: Style::Plain } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value under a key of a mapping.
    pub(crate) fn entry(&self, name: &str) -> Option<&(Node, Node)> {
        let Kind::Mapping { entries, .. } = &self.kind else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| matches!(&key.kind, Kind::Scalar { text, .. } if text == name))
    }
}

/// What is open while events come.
struct Open {
    node: Node,
    anchor: usize,
    /// A key that waits for its value.
    key: Option<Node>,
}

struct Builder<'a> {
    text: &'a str,
    /// The byte at which each character begins.
    bytes: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// The one document of `text`; `None` if it holds nothing but comments.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Broken> {
    let bytes = text
        .char_indices()
        .map(|(byte, _)| byte)
        .chain([text.len()])
        .collect();
    let mut builder = Builder {
        text,
        bytes,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        builder.take(event, span.start, span.end)?;
    }
    Ok(builder.root)
}

fn scan_error(error: &ScanError) -> Broken {
    Broken {
        at: place(*error.marker()),
        why: error.info().to_owned(),
    }
}

fn place(marker: Marker) -> (usize, usize) {
    (marker.line().max(1), marker.col() + 1)
}

fn is_str(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.suffix == "str" || (tag.handle.is_empty() && tag.suffix == "!"))
}

impl Builder<'_> {
    fn byte(&self, marker: Marker) -> usize {
        self.bytes
            .get(marker.index())
            .copied()
            .unwrap_or(self.text.len())
    }

    fn take(&mut self, event: Event<'_>, start: Marker, end: Marker) -> Result<(), Broken> {
        let node = |kind| Node {
            at: place(start),
            start: self.byte(start),
            end: self.byte(end),
            kind,
        };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => match self.root {
                Some(_) => Err(Broken {
                    at: place(start),
                    why: "expected the end of the file, found a second document".into(),
                }),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let here = node(Kind::Scalar {
                    text: String::new(),
                    style: Style::Plain,
                });
                let Some(named) = self.anchors.get(&anchor) else {
                    return Err(Broken {
                        at: here.at,
                        why: "an alias must not stand inside what it names".into(),
                    });
                };
                let kind = named.kind.clone();
                self.nodes += size(&kind);
                self.close(Node { kind, ..here }, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain if is_str(tag.as_deref()) => Style::Quoted,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let node = node(Kind::Scalar {
                    text: text.into_owned(),
                    style,
                });
                self.close(node, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let flow = self.is_at(start, '[');
                self.begin(
                    node(Kind::Sequence {
                        items: Vec::new(),
                        flow,
                    }),
                    anchor,
                )
            }
            Event::MappingStart(anchor, _) => {
                let flow = self.is_at(start, '{');
                self.begin(
                    node(Kind::Mapping {
                        entries: Vec::new(),
                        flow,
                    }),
                    anchor,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open {
                    mut node, anchor, ..
                } = self.open.pop().expect("the parser closes what it opened");
                node.end = match &node.kind {
                    Kind::Sequence { flow: true, .. } | Kind::Mapping { flow: true, .. } => {
                        self.byte(start) + 1
                    }
                    Kind::Sequence { items, .. } => {
                        items.last().map_or(node.start, |item| item.end)
                    }
                    Kind::Mapping { entries, .. } => {
                        entries.last().map_or(node.start, |(_, value)| value.end)
                    }
                    Kind::Scalar { .. } => node.end,
                };
                self.close(node, anchor)
            }
        }
    }

    /// Whether a collection begins with its bracket, behind an anchor or a tag.
    fn is_at(&self, start: Marker, bracket: char) -> bool {
        let rest = &self.text[self.byte(start)..];
        let mut words = rest
            .split_whitespace()
            .skip_while(|word| word.starts_with(['&', '!']));
        words.next().is_some_and(|word| word.starts_with(bracket))
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        if self.open.len() == MAX_DEPTH {
            return Err(Broken {
                at: node.at,
                why: format!("expected at most {MAX_DEPTH} levels"),
            });
        }
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Broken {
                at: node.at,
                why: format!("expected at most {MAX_NODES} values"),
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::Sequence { items, .. } => items.push(node),
            Kind::Mapping { entries, .. } => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn size(kind: &Kind) -> usize {
    match kind {
        Kind::Scalar { .. } => 1,
        Kind::Sequence { items, .. } => {
            1 + items.iter().map(|item| size(&item.kind)).sum::<usize>()
        }
        Kind::Mapping { entries, .. } => {
            1 + entries
                .iter()
                .map(|(key, value)| size(&key.kind) + size(&value.kind))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_where_they_stand() {
        let text = "# 하늘\nname: 하늘  # sky\nlist: [a, {b: c}] # flow\n";
        let root = parse(text).unwrap().unwrap();
        let (_, name) = root.entry("name").unwrap();
        assert_eq!((&text[name.start..name.end], name.at), ("하늘", (2, 7)));
        let (_, list) = root.entry("list").unwrap();
        assert_eq!(&text[list.start..list.end], "[a, {b: c}]");
    }

    #[test]
    fn what_grows_without_bound_or_is_too_deep_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let names = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb = format!("{bomb}a{n}: &a{n} [{names}]\n");
        }
        assert!(parse(&bomb).unwrap_err().why.contains("values"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
