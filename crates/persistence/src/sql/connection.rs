//! Methods that run SQL statements on a connection, and helpers for their parameters.

use domain::Result;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, Value};

use super::error::DbError;

/// A transaction, or a pool of connections for reads, on which statements are run.
pub(crate) struct Connection<'a, C>(pub(crate) &'a C);

/// A connection inside the transaction of one write.
pub(crate) type Tx<'a> = Connection<'a, DatabaseTransaction>;

impl<C: ConnectionTrait> Connection<'_, C> {
    /// Runs a query and returns all its rows. Placeholders are `$1`, `$2`, … on both backends.
    pub(crate) async fn all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>> {
        self.try_all(sql, values).await.map_err(DbError::into_error)
    }

    /// Runs a query and returns its first row, or `None` if it has no rows.
    pub(crate) async fn one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>> {
        self.try_one(sql, values).await.map_err(DbError::into_error)
    }

    /// Runs a query as [`Connection::one`] does, but returns the unconverted error. The caller can
    /// then report which value violates a unique constraint.
    pub(crate) async fn try_one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>, DbError> {
        // Fetches all rows. On SQLite, fetching only one row of a statement with `RETURNING` would
        // hide an error that occurs after the first row.
        Ok(self.try_all(sql, values).await?.into_iter().next())
    }

    async fn try_all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, DbError> {
        Ok(self.0.query_all_raw(self.statement(sql, values)).await?)
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(crate) async fn run(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64> {
        self.try_run(sql, values).await.map_err(DbError::into_error)
    }

    /// Runs a statement as [`Connection::run`] does, but returns the unconverted error. The caller
    /// can then report which value violates a unique constraint.
    pub(crate) async fn try_run(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, DbError> {
        let result = self.0.execute_raw(self.statement(sql, values)).await?;
        Ok(result.rows_affected())
    }

    /// Returns `true` on PostgreSQL, `false` on SQLite.
    pub(crate) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.0.get_database_backend(), sql, values)
    }
}

/// Returns `count` placeholders, separated by commas: `$from, $from+1, …`.
pub(crate) fn placeholders(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|number| format!("${number}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Converts a row limit to a parameter for `LIMIT`, which is a signed number. A limit above
/// `i64::MAX` becomes `i64::MAX`, which no table exceeds.
pub(crate) fn limit_value(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
