//! Changes one value of a YAML text and leaves everything else as it is: comments, blank lines,
//! order, quotes, indentation and line ends.
//!
//! The crate is made for files that people write and that a program edits now and then.
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
//! Each edit parses the text twice, before and after the edit, and returns a new text. Appending an
//! item to a list of 1,000 takes about 10 ms (`cargo run --release --example append`).
//!
//! # Guarantees
//!
//! * **All or nothing.** An edit parses its own result. It fails unless the new value reads back
//!   equal and all other fields read as before. For example, an edit of a value that an alias
//!   repeats fails.
//! * **Comments stay**, except comments inside an item of a list that is changed or removed.
//! * **New text matches the old text.** It has the same line ends and the same indentation as its
//!   neighbours. Inside brackets it is written in flow style. A value of several lines is written
//!   in several lines where possible.
//! * **Values read back equal** with every reader of YAML 1.1 or 1.2. For example, the text `no` is
//!   written as `"no"`.
//! * **Input is bounded.** A text with more than 32 levels, or with more than 2,000,000 values
//!   after aliases are expanded, is refused.
//!
//! # Limits
//!
//! One document per text. Only fields of the root mapping are edited: scalars, and lists whose
//! items are mappings of scalars. Removing a field is not supported.
//!
//! The [glossary] explains the words of the project that this crate is a part of.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

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
