//! Texts and flags as YAML that a person would write.

/// A value behind its key: what stands in the key's line, and the lines below, which are still to be indented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) head: String,
    pub(crate) body: Vec<String>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Number(i64),
    Date(chrono::NaiveDate),
}

/// Words that other readers take for something else than text.
const NOT_TEXT: [&str; 10] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan",
];

impl Value {
    /// In block style: long texts as they are, line by line.
    pub(crate) fn block(&self) -> Written {
        match self {
            Self::Text(text) if is_plain(text) => Written {
                head: text.clone(),
                body: Vec::new(),
            },
            Self::Text(text) if is_block(text) => {
                let (head, text) = text
                    .strip_suffix('\n')
                    .map_or(("|-", text.as_str()), |text| ("|", text));
                Written {
                    head: head.into(),
                    body: text.split('\n').map(str::to_owned).collect(),
                }
            }
            other => Written {
                head: other.flow(),
                body: Vec::new(),
            },
        }
    }

    /// In one line that can stand between brackets.
    pub(crate) fn flow(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Date(date) => date.to_string(),
        }
    }
}

/// Whether every reader takes `text`, without quotes and outside of brackets, for this text.
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

/// Whether `text` can stand line by line below its key.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_blank = |line: &str| line.chars().all(char::is_whitespace);
    // The first line's indentation is the block's.
    let (first, last) = (
        body.split('\n').next().unwrap_or_default(),
        body.rsplit('\n').next().unwrap_or_default(),
    );
    text.contains('\n')
        && !first.starts_with(char::is_whitespace)
        && !is_blank(first)
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
    use std::fmt::Write;
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c => write!(quoted, "\\u{:04X}", u32::from(c)).expect("text takes text"),
        }
    }
    quoted.push('"');
    quoted
}

/// `name: value` with everything indented by `indent` spaces; ends with a line end.
pub(crate) fn field(name: &str, value: &Value, indent: usize) -> String {
    let Written { head, body } = value.block();
    let mut text = format!("{}{name}: {head}\n", " ".repeat(indent));
    text.push_str(&lines(&body, indent + 2));
    text
}

/// An item of a list: its fields, the first behind the dash.
pub(crate) fn item(fields: &[(&str, Value)], indent: usize) -> String {
    let text: String = fields
        .iter()
        .map(|(name, value)| field(name, value, indent + 2))
        .collect();
    format!("{}- {}", " ".repeat(indent), &text[indent + 2..])
}

/// The same between braces.
pub(crate) fn flow_item(fields: &[(&str, Value)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.flow()))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Lines below a key. Empty ones stay empty.
pub(crate) fn lines(body: &[String], indent: usize) -> String {
    let line = |line: &String| {
        if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("{}{line}\n", " ".repeat(indent))
        }
    };
    body.iter().map(line).collect()
}
