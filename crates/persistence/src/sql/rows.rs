//! Conversion of rows to entities. The error for an unreadable value names its table, column and
//! row.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use domain::{Error, Result, Timestamp};
use sea_orm::{QueryResult, TryGetable};

/// A row of a query, with the table name and the id that its errors report.
pub(crate) struct Row<'a> {
    table: &'static str,
    id: String,
    values: &'a QueryResult,
}

impl<'a> Row<'a> {
    /// Wraps a row of `table`. The integer column `key` identifies the row in errors.
    pub(crate) fn new(table: &'static str, key: &str, values: &'a QueryResult) -> Self {
        let id = values
            .try_get::<i64>("", key)
            .map_or_else(|_| "?".into(), |id| id.to_string());
        Self { table, id, values }
    }

    /// Returns the value of a column.
    pub(crate) fn get<T: TryGetable>(&self, column: &'static str) -> Result<T> {
        self.values
            .try_get("", column)
            .map_err(|error| self.corrupt(column, error))
    }

    /// Returns the parsed value of a text column.
    pub(crate) fn parse<T, E: Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T> {
        parse(&self.get::<String>(column)?).map_err(|error| self.corrupt(column, error))
    }

    /// Returns the parsed value of a text column, or `None` if it is null.
    pub(crate) fn parse_opt<T, E: Display>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?
            .map(|text| parse(&text))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    /// Returns a time, which is stored as microseconds since 1970.
    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.to_time(column, self.get(column)?)
    }

    /// Returns a time, or `None` if the column is null.
    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.get::<Option<i64>>(column)?
            .map(|micros| self.to_time(column, micros))
            .transpose()
    }

    /// Returns an integer, converted to the unsigned type `T`. A value outside the range of `T` is
    /// reported as corrupt.
    pub(crate) fn unsigned<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        self.to_unsigned(column, self.get(column)?)
    }

    /// Returns an integer as [`Row::unsigned`] does, or `None` if the column is null.
    pub(crate) fn unsigned_opt<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>> {
        self.get::<Option<i64>>(column)?
            .map(|number| self.to_unsigned(column, number))
            .transpose()
    }

    fn to_time(&self, column: &'static str, micros: i64) -> Result<Timestamp> {
        DateTime::<Utc>::from_timestamp_micros(micros).ok_or_else(|| {
            self.corrupt(
                column,
                format!("{micros} microseconds are out of range for a time"),
            )
        })
    }

    fn to_unsigned<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T> {
        T::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
    }

    fn corrupt(&self, column: &'static str, reason: impl Display) -> Error {
        Error::Corrupt {
            table: self.table,
            column,
            row: self.id.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Converts the rows of a list. Logs a row that cannot be read, and leaves it out. So one damaged
/// row does not hide the other rows.
pub(crate) fn readable<T>(
    rows: &[QueryResult],
    convert: impl Fn(&QueryResult) -> Result<T>,
) -> Result<Vec<T>> {
    let mut converted = Vec::with_capacity(rows.len());
    for row in rows {
        match convert(row) {
            Ok(value) => converted.push(value),
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(%error, "a row cannot be read, and is left out of a list");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(converted)
}

/// Returns the current time in microseconds since 1970, as tables store it.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}
