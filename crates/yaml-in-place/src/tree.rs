//! The parsed tree of a text. Each value has its position and its bytes in the text.

use std::ops::Range;

use crate::error::Position;

/// A value in a text.
#[derive(Clone, Debug)]
pub struct Node {
    /// The position of the value's first character. An anchor or a tag is part of the value.
    pub position: Position,
    /// The range of bytes of the value in the text. For a block scalar, it begins at the header
    /// (`|`) or at the scalar's text. For a block mapping or sequence, it ends where the last value
    /// ends.
    pub bytes: Range<usize>,
    /// The content of the value.
    pub kind: Kind,
}

/// A scalar, a mapping or a sequence.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar.
    Scalar {
        /// The text as YAML reads it: quotes removed, escapes resolved, lines folded.
        text: String,
        /// The style in which the text is written.
        style: ScalarStyle,
    },
    /// Keys and values in the order of the text. A key can occur twice.
    Mapping {
        /// The keys with their values.
        entries: Vec<(Node, Node)>,
        /// Block or flow.
        layout: Layout,
    },
    /// Values in the order of the text.
    Sequence {
        /// The values.
        items: Vec<Node>,
        /// Block or flow.
        layout: Layout,
    },
}

/// The style in which a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    /// Without quotes. Only plain scalars can be numbers, flags or null.
    Plain,
    /// In single or double quotes, or plain with the tag `!!str` or `!`.
    Quoted,
    /// Literal (`|`) or folded (`>`).
    Block,
}

/// The layout in which a mapping or sequence is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One line or more per entry.
    #[default]
    Block,
    /// Between `{` and `}`, or `[` and `]`.
    Flow,
}

impl Node {
    /// Returns `true` for an empty value and for a plain `~`, `null`, `Null` or `NULL`.
    ///
    /// ```
    /// let root = yaml_in_place::parse("a:\nb: ~\nc: \"\"")?.expect("the text has fields");
    /// let is_null = |field| root.entry(field).expect("the field exists").1.is_null();
    /// assert!(is_null("a") && is_null("b") && !is_null("c"));
    /// # Ok::<(), yaml_in_place::SyntaxError>(())
    /// ```
    pub fn is_null(&self) -> bool {
        self.plain()
            .is_some_and(|text| matches!(text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns the first key with this name and its value. Returns `None` if this node is not a
    /// mapping, or has no such key.
    ///
    /// ```
    /// let root = yaml_in_place::parse("name: Ada # of the harbour")?.expect("it has a field");
    /// let (key, value) = root.entry("name").expect("the field exists");
    /// assert_eq!((key.position.column, value.text()), (1, Some("Ada")));
    /// assert!(root.entry("age").is_none());
    /// # Ok::<(), yaml_in_place::SyntaxError>(())
    /// ```
    pub fn entry(&self, name: &str) -> Option<&(Node, Node)> {
        let Kind::Mapping { entries, .. } = &self.kind else {
            return None;
        };
        entries.iter().find(|(key, _)| key.text() == Some(name))
    }

    /// Returns a scalar's text, whatever its style; `None` for mappings and sequences.
    ///
    /// ```
    /// let root = yaml_in_place::parse("7")?.expect("the text has a value");
    /// assert_eq!(root.text(), Some("7"));
    /// # Ok::<(), yaml_in_place::SyntaxError>(())
    /// ```
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Mapping { .. } | Kind::Sequence { .. } => None,
        }
    }

    /// Returns the flag of a plain `true`, `True`, `TRUE`, `false`, `False` or `FALSE`. The words
    /// `yes`, `no`, `on` and `off` are texts, as in YAML 1.2.
    ///
    /// ```
    /// let flag = |text| yaml_in_place::parse(text).ok().flatten()?.as_bool();
    /// assert_eq!((flag("true"), flag("\"true\""), flag("yes")), (Some(true), None, None));
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Returns the number of a plain decimal integer. Returns `None` for any other node, and for a
    /// number outside the range of `i64`.
    ///
    /// ```
    /// let number = |text| yaml_in_place::parse(text).ok().flatten()?.as_i64();
    /// assert_eq!((number("-3"), number("'3'"), number("0x1F")), (Some(-3), None, None));
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        self.plain()?.parse().ok()
    }

    /// Returns the text of a plain scalar; `None` for any other node.
    fn plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar {
                text,
                style: ScalarStyle::Plain,
            } => Some(text),
            _ => None,
        }
    }

    /// Returns the value inside a block collection that comes last in the text, at any depth.
    /// Returns this node if it is a scalar, a collection in flow layout, or empty.
    pub(crate) fn last(&self) -> &Self {
        match &self.kind {
            Kind::Sequence {
                items,
                layout: Layout::Block,
            } => items.last().map_or(self, Self::last),
            Kind::Mapping {
                entries,
                layout: Layout::Block,
            } => entries.last().map_or(self, |(_, value)| value.last()),
            _ => self,
        }
    }

    /// Returns `true` for a literal or folded scalar.
    pub(crate) fn is_block_scalar(&self) -> bool {
        matches!(
            &self.kind,
            Kind::Scalar {
                style: ScalarStyle::Block,
                ..
            }
        )
    }
}
