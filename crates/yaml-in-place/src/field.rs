//! Changing one field of the root mapping.

use crate::{
    error::EditError,
    source::{Root, Source},
    tree::{Layout, Node},
    value::{self, BlockText, Form, Value},
};

/// Returns the text with `field` of the root mapping set to `value`. A new field is appended; an
/// empty text, or one with only comments, becomes a mapping.
///
/// Comments, blank lines, other fields, line ends and the indentation stay as they are. A comment
/// in the value's own line follows the new value. Parsing the result returns an equal value.
///
/// # Errors
///
/// [`EditError::Syntax`] if the text is not YAML, [`EditError::ChangesOtherFields`] if an alias
/// repeats the old value, the root is no mapping, or the field occurs twice.
///
/// ```
/// use yaml_in_place::{Value, set_field};
///
/// let text = "# by hand\npriority: 5  # high\nname: Ada\n";
/// let edited = set_field(text, "priority", &Value::Number(7))?;
/// assert_eq!(edited, "# by hand\npriority: 7  # high\nname: Ada\n");
///
/// let edited = set_field("a: &x old\nb: *x\n", "a", &Value::Text("new".to_owned()));
/// assert!(edited.is_err(), "`b` would have no value");
/// # Ok::<(), yaml_in_place::EditError>(())
/// ```
pub fn set_field(text: &str, field: &str, value: &Value) -> Result<String, EditError> {
    let source = Source::new(text)?;
    let existing = source.root().zip(source.entry(field));
    let candidate = |form| match existing {
        None => source.with_new_field(
            |indent| value::field(field, value, indent, form),
            || format!("{field}: {}", value.flow()),
        ),
        Some((root, (_, old))) if root.layout == Layout::Flow => {
            vec![source.replaced(old.bytes.clone(), &value.flow())]
        }
        Some((root, (key, old))) => {
            vec![with_block_value(
                &source,
                root,
                key,
                old,
                &value.block(form),
            )]
        }
    };
    // In front of a line of spaces, a text of several lines would get another line.
    let candidates = Form::ALL.into_iter().flat_map(candidate).collect();
    source.first_faithful(candidates, field, |node| value.reads_as(node))
}

/// Returns the text with another value for a key of a block mapping.
fn with_block_value(
    source: &Source<'_>,
    root: Root<'_>,
    key: &Node,
    old: &Node,
    new: &BlockText,
) -> String {
    let body = new.indented_body(root.indent + 2);
    let colon = source.behind_colon(key);
    if old.is_block_scalar() {
        // The header (`|-  # comment`) and all lines below it.
        let header = source.line_rest(colon);
        let comment = header
            .find(" #")
            .map_or("", |at| &header[header[..at].trim_end().len()..]);
        let end = source.block_scalar_end(old).max(source.line_end(colon));
        return source.replaced(colon..end, &format!(" {}{comment}\n{body}", new.head));
    }
    // The parser reports a missing value before the colon.
    let (start, end) = (old.bytes.start.max(colon), old.bytes.end.max(colon));
    let gap = if source.text[..start].ends_with(':') {
        " "
    } else {
        ""
    };
    let rest = source.line_rest(end);
    let new = format!("{gap}{}{rest}\n{body}", new.head);
    source.replaced(start..source.line_end(end), &new)
}
