//! Edits of one field of the root mapping.

use crate::{
    error::EditError,
    source::{Root, Source},
    tree::{Layout, Node},
    value::{self, BlockText, Form, Value},
};

/// Returns the text with `field` of the root mapping set to `value`. A missing field is added. An
/// empty text, or a text with only comments, becomes a mapping.
///
/// Comments, blank lines, other fields, line ends and the indentation stay as they are. A comment
/// after the old value on the same line follows the new value. Parsing the result returns an equal
/// value.
///
/// # Errors
///
/// [`EditError::Syntax`] if the text is not valid YAML. [`EditError::ChangesOtherFields`] if an
/// alias repeats the old value, the root is not a mapping, or the field occurs twice.
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
    // The block form is tried first, but it is not faithful everywhere. For example, a line of
    // spaces after the value would become a part of the block.
    let candidates = Form::ALL.into_iter().flat_map(candidate).collect();
    source.first_faithful(candidates, field, |node| value.reads_as(node))
}

/// Returns the text with the value of `key`, which is `old`, replaced by `new`. The root mapping is
/// in block layout.
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
        // Replaces the header, such as `|- # comment`, and all lines below it. A comment in the
        // header is kept.
        let header = source.line_rest(colon);
        let comment = header
            .find(" #")
            .map_or("", |at| &header[header[..at].trim_end().len()..]);
        let end = source.block_scalar_end(old).max(source.line_end(colon));
        return source.replaced(colon..end, &format!(" {}{comment}\n{body}", new.head));
    }
    // For a missing value, the parser reports a position before the colon.
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
