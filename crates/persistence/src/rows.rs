//! Rows into entities: a value that cannot be read back is named by table, column and row.

use chrono::{DateTime, Utc};
use domain::{Error, Result, Timestamp};
use sea_orm::{QueryResult, TryGetable};

/// A row of a table, under the name that its errors bear.
pub(crate) struct Row<'a> {
    table: &'static str,
    id: String,
    values: &'a QueryResult,
}

impl<'a> Row<'a> {
    /// `key` is the column that names the row.
    pub(crate) fn new(table: &'static str, key: &str, row: &'a QueryResult) -> Self {
        let id = row
            .try_get::<i64>("", key)
            .map_or_else(|_| "?".into(), |id| id.to_string());
        Self {
            table,
            id,
            values: row,
        }
    }

    pub(crate) fn get<T: TryGetable>(&self, column: &'static str) -> Result<T> {
        self.values
            .try_get("", column)
            .map_err(|error| self.corrupt(column, error))
    }

    /// A column whose value must pass a parser.
    pub(crate) fn parse<T, E: std::fmt::Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T> {
        parse(&self.get::<String>(column)?).map_err(|error| self.corrupt(column, error))
    }

    /// The same for a column that may be null.
    pub(crate) fn parse_opt<T, E: std::fmt::Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?
            .map(|text| parse(&text))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.time_of(column, self.get(column)?)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.get::<Option<i64>>(column)?
            .map(|micros| self.time_of(column, micros))
            .transpose()
    }

    /// A number that is never negative.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        let number = self.get::<i64>(column)?;
        T::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
    }

    fn time_of(&self, column: &'static str, micros: i64) -> Result<Timestamp> {
        DateTime::<Utc>::from_timestamp_micros(micros)
            .ok_or_else(|| self.corrupt(column, "not a time"))
    }

    pub(crate) fn corrupt(&self, column: &'static str, reason: impl std::fmt::Display) -> Error {
        Error::Corrupt {
            table: self.table,
            column,
            row: self.id.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Now, in microseconds since 1970, as it is stored.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}
