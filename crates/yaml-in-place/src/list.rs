//! Edits of a list in the root mapping, item by item.

use crate::{
    error::EditError,
    source::Source,
    tree::{Kind, Layout, Node},
    value::{self, Form, Record},
};

/// Returns the text with the list `field` changed from `old` to `new`. Only the items that differ
/// are rewritten. A missing list is added.
///
/// `old` must equal the items in the text. Comments between items stay, and so do comments after
/// unchanged items. A comment inside a changed or removed item is removed with it.
///
/// # Errors
///
/// [`EditError::Syntax`] if the text is not valid YAML. [`EditError::ChangesOtherFields`] if the
/// list cannot be written without changing other fields. [`EditError::LosesComments`] if a list
/// between brackets contains comments, and the change is not only appended items.
///
/// ```
/// use yaml_in_place::{Value, replace_items};
///
/// let item = |text: &str| vec![("text", Value::Text(text.to_owned()))];
/// let text = "events:\n# first\n- text: a # x\n# end\n";
/// let edited = replace_items(text, "events", &[item("a")], &[item("a"), item("b")])?;
/// assert_eq!(edited, "events:\n# first\n- text: a # x\n- text: b\n# end\n");
/// # Ok::<(), yaml_in_place::EditError>(())
/// ```
pub fn replace_items(
    text: &str,
    field: &str,
    old: &[Record<'_>],
    new: &[Record<'_>],
) -> Result<String, EditError> {
    if old == new {
        return Ok(text.to_owned());
    }
    let source = Source::new(text)?;
    let candidates = |form| match source.root().zip(source.entry(field)) {
        None => Ok(source.with_new_field(
            |indent| value::list(field, new, indent, form),
            || format!("{field}: [{}]", value::flow_items(new)),
        )),
        Some((root, (key, node))) => {
            let bytes = node.bytes.clone();
            Ok(vec![match (&node.kind, root.layout) {
                (
                    Kind::Sequence {
                        items,
                        layout: Layout::Block,
                    },
                    _,
                ) if items.len() == old.len() => {
                    with_changed_items(&source, key, items, &Change::between(old, new), form)
                }
                // Appending between brackets keeps the comments there. This case excludes an empty
                // `[]` in a block mapping, which becomes a list in block layout below.
                (
                    Kind::Sequence {
                        items,
                        layout: Layout::Flow,
                    },
                    root_layout,
                ) if new.starts_with(old) && (root_layout == Layout::Flow || !items.is_empty()) => {
                    let comma = if items.is_empty() { "" } else { ", " };
                    let added = value::flow_items(&new[old.len()..]);
                    let bracket = bytes.end - 1;
                    source.replaced(bracket..bracket, &format!("{comma}{added}"))
                }
                _ if source.text[bytes.clone()].contains('#') => {
                    let field = field.to_owned();
                    return Err(EditError::LosesComments { field });
                }
                (_, Layout::Flow) => {
                    source.replaced(bytes, &format!("[{}]", value::flow_items(new)))
                }
                (_, Layout::Block) => {
                    let colon = source.behind_colon(key);
                    let end = bytes.end.max(colon);
                    let rest = source.line_rest(end);
                    let items = value::items(new, root.indent, form);
                    source.replaced(colon..source.line_end(end), &format!("{rest}\n{items}"))
                }
            }])
        }
    };
    let mut both = candidates(Form::Lines)?;
    both.extend(candidates(Form::OneLine)?);
    source.first_faithful(both, field, |node| reads_as(node, new))
}

/// Returns `true` if `node` is a list whose items have these fields. Other fields of an item are
/// not compared.
fn reads_as(node: &Node, records: &[Record<'_>]) -> bool {
    let Kind::Sequence { items, .. } = &node.kind else {
        return false;
    };
    items.len() == records.len()
        && items.iter().zip(records).all(|(item, record)| {
            record.iter().all(|(name, value)| {
                item.entry(name)
                    .is_some_and(|(_, node)| value.reads_as(node))
            })
        })
}

/// The difference between two lists: a run of old items, and the run of new items that replaces it.
struct Change<'n> {
    /// The index of the first item that differs.
    from: usize,
    /// The number of old items that are removed.
    removed: usize,
    added: &'n [Record<'n>],
    /// `true` if the new list has no items.
    is_emptied: bool,
}

impl<'n> Change<'n> {
    fn between(old: &[Record<'_>], new: &'n [Record<'n>]) -> Self {
        let from = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let (old, rest) = (&old[from..], &new[from..]);
        let unchanged = old
            .iter()
            .rev()
            .zip(rest.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        Self {
            from,
            removed: old.len() - unchanged,
            added: &rest[..rest.len() - unchanged],
            is_emptied: new.is_empty(),
        }
    }
}

/// Returns the text with the run of items that `change` describes replaced. The list is in block
/// layout.
fn with_changed_items(
    source: &Source<'_>,
    key: &Node,
    items: &[Node],
    change: &Change<'_>,
    form: Form,
) -> String {
    // New items are inserted directly after the item before the change, so that a comment stays
    // above the item that it describes. At the beginning of the list, they are inserted above the
    // first item's dash.
    let above = match change.from.checked_sub(1) {
        Some(before) => source.bottom(&items[before]),
        None => dash_line(source, source.line_end(key.bytes.end), &items[0]),
    };
    let indent = source.column(items.first().map_or(above, |item| dash(source, item)));
    let gap = if source.text[..above].ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let added = value::items(change.added, indent, form);
    let mut new = source.with_newlines(&format!("{gap}{added}"));
    // The comments and blank lines between removed items stay in the text.
    let mut end = above;
    for item in &items[change.from..change.from + change.removed] {
        new.push_str(&source.text[end..dash_line(source, end, item)]);
        end = source.bottom(item);
    }
    let edited = source.replaced_raw(above..end, &new);
    if !change.is_emptied {
        return edited;
    }
    // An empty list needs brackets, because it would read as null without them.
    let colon = source.behind_colon(key);
    format!("{} []{}", &edited[..colon], &edited[colon..])
}

/// Returns the byte position of the beginning of the line with an item's dash. Searches backwards
/// from the item, but not beyond `from`.
fn dash_line(source: &Source<'_>, from: usize, item: &Node) -> usize {
    let mut line = source.line_start(item.bytes.start);
    while line > from && !source.text[line..].trim_start_matches(' ').starts_with('-') {
        line = source.line_start(line - 1);
    }
    line.max(from)
}

/// Returns the byte position of an item's dash.
fn dash(source: &Source<'_>, item: &Node) -> usize {
    let line = dash_line(source, 0, item);
    line + source.text[line..].find('-').unwrap_or(0)
}
