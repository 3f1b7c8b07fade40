//! Errors of single SQL statements, before they are converted to errors of the ports.

use domain::Error;
use sea_orm::{DbErr, SqlErr};

/// A statement that failed. Its transaction was not committed, so nothing was applied.
#[derive(Debug)]
pub(crate) enum DbError {
    /// A unique constraint rejected a row. [`DbError::taken`] converts this to a message for the
    /// client.
    Unique(String),
    /// A foreign key rejected a row, because the row that it references does not exist.
    ForeignKey(String),
    /// A text contains the character NUL, which PostgreSQL cannot store. It is refused on both
    /// databases.
    Nul,
    /// Any other failure of the database or the connection.
    Other(DbErr),
}

impl DbError {
    /// Returns a `Conflict` with `message` if a unique constraint was violated. Converts any other
    /// error as [`DbError::into_error`] does.
    pub(crate) fn taken(self, message: impl FnOnce() -> String) -> Error {
        match self {
            Self::Unique(_) => Error::Conflict(message()),
            other => other.into_error(),
        }
    }

    /// Converts to the error of a port.
    ///
    /// This is not an `impl From`, because a second conversion into `domain::Error` would make `?`
    /// ambiguous in closures of crates that depend on this one.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unique(detail) => {
                Error::Conflict(format!("a row with this value already exists: {detail}"))
            }
            Self::ForeignKey(detail) => Error::missing("referenced row", detail),
            Self::Nul => Error::Invalid("a text must not contain the character NUL".into()),
            Self::Other(error) => Error::unavailable(error),
        }
    }
}

impl From<DbErr> for DbError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(detail)) => Self::Unique(detail),
            Some(SqlErr::ForeignKeyConstraintViolation(detail)) => Self::ForeignKey(detail),
            Some(_) | None => Self::Other(error),
        }
    }
}
