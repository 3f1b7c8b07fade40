//! Conversion of rows to entities of the domain. The error for an unreadable value names its table,
//! column and row.

use std::{fmt::Display, marker::PhantomData};

use chrono::{DateTime, Utc};
use domain::{Error, Result, Timestamp};
use sea_orm::{
    DbErr, EntityTrait, FromQueryResult, IdenStatic as _, Iterable as _, PrimaryKeyToColumn as _,
    QueryResult, TryGetable,
};

/// Converts a row of a query to a model of the table `E`.
pub(crate) fn model<E: EntityTrait>(row: &QueryResult) -> Result<E::Model> {
    E::Model::from_query_result(row, "").map_err(|error| {
        let keys = E::PrimaryKey::iter().map(|key| {
            let column = key.into_column().as_str().to_owned();
            row.try_get::<i64>("", &column)
                .map_or_else(|_| "?".to_owned(), |id| id.to_string())
        });
        let keys: Vec<_> = keys.collect();
        corrupt(
            format!(
                "table {}, row {}",
                E::default().table_name(),
                keys.join("/")
            ),
            error,
        )
    })
}

/// Converts a row of a query over several tables. `place` names the row in errors.
pub(crate) fn partial_model<T: FromQueryResult>(row: &QueryResult, place: &str) -> Result<T> {
    T::from_query_result(row, "").map_err(|error| corrupt(place.to_owned(), error))
}

/// Returns the value of the first column of a row.
pub(crate) fn first_value<T: TryGetable>(row: &QueryResult) -> Result<T> {
    let value = row.try_get_by_index(0);
    value.map_err(|error: DbErr| corrupt("the first column".to_owned(), error))
}

/// Conversions of the columns of one row of the table `E`.
pub(crate) struct Columns<E> {
    id: String,
    table: PhantomData<E>,
}

impl<E: EntityTrait> Columns<E> {
    /// Returns the conversions for the row that `id` identifies in errors.
    pub(crate) fn of_row(id: impl Display) -> Self {
        Self {
            id: id.to_string(),
            table: PhantomData,
        }
    }

    /// Parses a text.
    pub(crate) fn parse<T, R: Display>(
        &self,
        column: E::Column,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, R>,
    ) -> Result<T> {
        parse(text).map_err(|reason| self.corrupt(column, reason))
    }

    /// Parses a text, or returns `None` if the column is null.
    pub(crate) fn parse_opt<T, R: Display>(
        &self,
        column: E::Column,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, R>,
    ) -> Result<Option<T>> {
        text.map(|text| self.parse(column, text, parse)).transpose()
    }

    /// Converts a time, which is stored as microseconds since 1970.
    pub(crate) fn time(&self, column: E::Column, micros: i64) -> Result<Timestamp> {
        DateTime::<Utc>::from_timestamp_micros(micros).ok_or_else(|| {
            let reason = format!("{micros} microseconds are out of range for a time");
            self.corrupt(column, reason)
        })
    }

    /// Converts a time, or returns `None` if the column is null.
    pub(crate) fn time_opt(
        &self,
        column: E::Column,
        micros: Option<i64>,
    ) -> Result<Option<Timestamp>> {
        micros.map(|micros| self.time(column, micros)).transpose()
    }

    /// Converts an integer to the unsigned type `T`. A value outside the range of `T` is reported
    /// as corrupt.
    pub(crate) fn unsigned<T: TryFrom<i64>>(&self, column: E::Column, number: i64) -> Result<T> {
        let reason = || self.corrupt(column, format!("{number} is out of range"));
        T::try_from(number).map_err(|_| reason())
    }

    /// Converts an integer as [`Columns::unsigned`] does, or returns `None` if the column is null.
    pub(crate) fn unsigned_opt<T: TryFrom<i64>>(
        &self,
        column: E::Column,
        number: Option<i64>,
    ) -> Result<Option<T>> {
        number
            .map(|number| self.unsigned(column, number))
            .transpose()
    }

    /// Returns the error for an unreadable value.
    pub(crate) fn corrupt(&self, column: E::Column, reason: impl Display) -> Error {
        let (table, column) = (E::default().table_name(), column.as_str());
        corrupt(
            format!("table {table}, column {column}, row {}", self.id),
            reason,
        )
    }
}

fn corrupt(place: String, reason: impl Display) -> Error {
    Error::Corrupt {
        place,
        reason: reason.to_string(),
    }
}

/// Returns the current time in microseconds since 1970, as tables store it.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}
