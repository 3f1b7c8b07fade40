//! Values to write, and their YAML text.

use std::fmt::Write;

use crate::tree::Node;

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text. It reads back as exactly this text. If every YAML reader takes it for a text, it is
    /// written without quotes. Otherwise a text of several lines is written as a literal block
    /// (`|`), and any other text in double quotes.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text that is written without quotes, although some readers take it for another type, such
    /// as `2026-01-31` for a date. It must begin with an ASCII letter or digit, and contain only
    /// ASCII letters, digits, `-`, `.` and `_`. Any other text is written in double quotes.
    Plain(String),
}

/// The fields of one item of a list, in order. The names must be valid in YAML without quotes.
pub type Record<'a> = Vec<(&'a str, Value)>;

/// The text of a value after its key: the part on the key's line, and the lines below it without
/// indentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockText {
    pub(crate) head: String,
    pub(crate) body: Vec<String>,
}

impl BlockText {
    fn one_line(head: String) -> Self {
        Self {
            head,
            body: Vec::new(),
        }
    }

    /// Returns the lines below the key's line, indented by `indent`. Empty lines stay empty.
    pub(crate) fn indented_body(&self, indent: usize) -> String {
        let line = |line: &String| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("{}{line}\n", " ".repeat(indent))
            }
        };
        self.body.iter().map(line).collect()
    }
}

/// The style of texts that have several lines.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// As a literal block (`|`).
    Lines,
    /// In double quotes on one line, with escaped line breaks.
    OneLine,
}

impl Form {
    /// Both forms, the more readable one first.
    pub(crate) const ALL: [Self; 2] = [Self::Lines, Self::OneLine];
}

/// Words that some readers take for a flag, null or a number if they are not in quotes.
const NOT_TEXT: [&str; 10] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan",
];

impl Value {
    /// Returns the value in block style, on several lines if `form` is [`Form::Lines`] and the
    /// value allows it.
    pub(crate) fn block(&self, form: Form) -> BlockText {
        match (self, form) {
            (Self::Text(text), _) if is_plain(text) => BlockText::one_line(text.clone()),
            (Self::Text(text), Form::Lines) if is_literal(text) => {
                let (head, text) = text
                    .strip_suffix('\n')
                    .map_or(("|-", text.as_str()), |text| ("|", text));
                BlockText {
                    head: head.into(),
                    body: text.split('\n').map(str::to_owned).collect(),
                }
            }
            (other, _) => BlockText::one_line(other.flow()),
        }
    }

    /// Returns `true` if `node` reads as this value.
    pub(crate) fn reads_as(&self, node: &Node) -> bool {
        match self {
            Self::Text(text) | Self::Plain(text) => node.text() == Some(text),
            Self::Flag(flag) => node.as_bool() == Some(*flag),
            Self::Number(number) => node.as_i64() == Some(*number),
        }
    }

    /// Returns the value on one line. The text is valid in block style and also between brackets.
    pub(crate) fn flow(&self) -> String {
        match self {
            Self::Plain(text) if is_simple(text) => text.clone(),
            Self::Text(text) | Self::Plain(text) => quoted(text),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Returns `true` if a [`Value::Plain`] with this text is written without quotes.
fn is_simple(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

/// Returns `true` if every YAML reader reads `text` back unchanged when it is written without
/// quotes, outside of brackets.
fn is_plain(text: &str) -> bool {
    text.starts_with(char::is_alphabetic)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !NOT_TEXT.contains(&text.to_lowercase().as_str())
        && text
            .chars()
            .all(|c| c != '\n' && c != '\t' && is_printable(c))
}

/// Returns `true` if `text` can be written as a literal block (`|`) below its key.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_blank = |line: &str| line.chars().all(char::is_whitespace);
    let first = body.split('\n').next().unwrap_or_default();
    let last = body.rsplit('\n').next().unwrap_or_default();
    text.contains('\n')
        // Readers take the indentation of the first line for that of the whole block.
        && !first.starts_with(char::is_whitespace)
        && !is_blank(first)
        // Readers drop blank lines at the end of the block.
        && !is_blank(last)
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_printable(c: char) -> bool {
    c == '\t'
        || !(c.is_control()
            || matches!(
                c,
                '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            ))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c => write!(quoted, "\\u{:04X}", u32::from(c)).expect("writing to a String succeeds"),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns `name: value` and a line end, in block style.
///
/// ```
/// use yaml_in_place::{Value, print_field};
///
/// let text = |text: &str| Value::Text(text.to_owned());
/// assert_eq!(print_field("a", &text("one")), "a: one\n");
/// assert_eq!(print_field("a", &text("no")), "a: \"no\"\n");
/// assert_eq!(print_field("a", &text("one\ntwo\n")), "a: |\n  one\n  two\n");
/// assert_eq!(print_field("a", &Value::Plain("2026-01-31".to_owned())), "a: 2026-01-31\n");
/// ```
pub fn print_field(name: &str, value: &Value) -> String {
    field(name, value, 0, Form::Lines)
}

/// Returns `name:` and the items, each after a dash. Returns `name: []` if there are no items.
///
/// ```
/// use yaml_in_place::{Value, print_list};
///
/// let item = vec![("a", Value::Number(1)), ("b", Value::Flag(true))];
/// assert_eq!(print_list("list", &[item]), "list:\n- a: 1\n  b: true\n");
/// assert_eq!(print_list("list", &[]), "list: []\n");
/// ```
pub fn print_list(name: &str, items: &[Record<'_>]) -> String {
    list(name, items, 0, Form::Lines)
}

/// Returns the text of a field, with all lines indented by `indent`.
pub(crate) fn field(name: &str, value: &Value, indent: usize, form: Form) -> String {
    let text = value.block(form);
    let head = format!("{}{name}: {}\n", " ".repeat(indent), text.head);
    head + &text.indented_body(indent + 2)
}

/// Returns the text of a list in block layout, with all lines indented by `indent`.
pub(crate) fn list(name: &str, items: &[Record<'_>], indent: usize, form: Form) -> String {
    let pad = " ".repeat(indent);
    if items.is_empty() {
        return format!("{pad}{name}: []\n");
    }
    format!("{pad}{name}:\n{}", self::items(items, indent, form))
}

/// Returns the text of a list's items in block layout, with the dashes indented by `indent`.
pub(crate) fn items(items: &[Record<'_>], indent: usize, form: Form) -> String {
    let item = |fields: &Record<'_>| {
        let text: String = fields
            .iter()
            .map(|(name, value)| field(name, value, indent + 2, form))
            .collect();
        let text = text.get(indent + 2..).unwrap_or("{}\n");
        format!("{}- {text}", " ".repeat(indent))
    };
    items.iter().map(item).collect()
}

/// Returns the text of a list's items for use between brackets, without the brackets.
pub(crate) fn flow_items(items: &[Record<'_>]) -> String {
    let item = |fields: &Record<'_>| {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.flow()))
            .collect();
        format!("{{{}}}", fields.join(", "))
    };
    items.iter().map(item).collect::<Vec<_>>().join(", ")
}
