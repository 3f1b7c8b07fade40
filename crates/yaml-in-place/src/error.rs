//! Positions in a text, and the errors of parsing and editing.

use std::fmt;

/// A position in a text. Line and column count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// An error in a text that is not valid YAML, or that exceeds a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {reason}")]
pub struct SyntaxError {
    /// The position of the error.
    pub position: Position,
    /// The reason, without the position.
    pub reason: String,
}

/// An error of an edit. The text is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not valid YAML, or exceeds a limit.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Every way of writing the value would change another field, for example because an alias
    /// repeats the old value.
    #[error("`{field}` cannot be changed without changing other fields; edit the file by hand")]
    ChangesOtherFields {
        /// The name of the field.
        field: String,
    },
    /// The whole list would have to be rewritten, which would lose the comments between its
    /// brackets.
    #[error("`{field}` cannot be changed without losing the comments in it; edit the file by hand")]
    LosesComments {
        /// The name of the field.
        field: String,
    },
}
