//! Changes one value of a YAML text and leaves everything else as it is: comments, blank lines,
//! order, quotes, indentation and line ends.
//!
//! For files that people write and a program edits now and then.
//!
//! ```
//! use yaml_in_place::{Value, replace_items, set_field};
//!
//! let text = "\
//! ## Ada, by hand
//! priority: 5   # high
//! events:
//!   ## the harbour
//!   - text: a storm
//! ";
//! let text = set_field(text, "priority", &Value::Number(7))?;
//!
//! let item = |text: &str| vec![("text", Value::Text(text.to_owned()))];
//! let old = [item("a storm")];
//! let new = [item("a storm"), item("a letter,\nread twice\n")];
//! let text = replace_items(&text, "events", &old, &new)?;
//!
//! assert_eq!(text, "\
//! ## Ada, by hand
//! priority: 7   # high
//! events:
//!   ## the harbour
//!   - text: a storm
//!   - text: |
//!       a letter,
//!       read twice
//! ");
//! # Ok::<(), yaml_in_place::EditError>(())
//! ```
//!
//! # Functions
//!
//! | function | does |
//! |---|---|
//! | [`set_field`] | sets a field of the root mapping, or adds it |
//! | [`replace_items`] | adds, removes and changes items of a list of mappings |
//! | [`print_field`], [`print_list`] | print a new file, field by field |
//! | [`parse`] | reads a text into a tree of [`Node`]s with line, column and bytes |
//!
//! Each call parses the text twice, before and after the edit, and returns a new text. An item is
//! appended to 1,000 others in about 10 ms (`cargo run --release --example append`).
//!
//! # Guarantees
//!
//! * **All or nothing.** An edit parses its own result. Unless the new value reads back equal and
//!   all other fields read as before, the edit is refused. A value that an alias repeats is such a
//!   case.
//! * **Comments stay**, except inside a list's item that is changed or removed.
//! * **New text fits in.** It has the text's line ends and the indentation of its neighbours, stays
//!   between brackets where its neighbours do, and is readable: several lines stay several lines.
//! * **Values read back equal**, by any reader of YAML 1.1 or 1.2: `no` is written as `"no"`.
//! * **Bounded.** At most 32 levels and 2,000,000 values, aliases expanded; more is refused.
//!
//! # Limits
//!
//! One document per text. Only fields of the root mapping are edited: scalars, and lists whose
//! items are mappings of scalars. Removing a field is not supported.

mod error;
mod field;
mod list;
mod parse;
mod source;
mod tree;
mod value;

pub use error::{EditError, Position, SyntaxError};
pub use field::set_field;
pub use list::replace_items;
pub use parse::parse;
pub use tree::{Kind, Layout, Node, ScalarStyle};
pub use value::{Record, Value, print_field, print_list};
