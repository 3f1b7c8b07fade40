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
        Ok(self.0.query_all_raw(self.statement(sql, values)?).await?)
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
        let result = self.0.execute_raw(self.statement(sql, values)?).await?;
        Ok(result.rows_affected())
    }

    /// Returns the SQL condition that `column` equals one of the ids in the parameter with this
    /// number. The parameter's value is [`Connection::id_list`].
    ///
    /// The list is one parameter, whatever its length. SQLite looks up each parameter `$n` by its
    /// name, so a statement with a parameter for each id takes quadratic time. Both databases also
    /// limit the number of parameters.
    pub(crate) fn is_one_of(&self, column: &str, parameter: usize) -> String {
        if self.is_postgres() {
            // The driver sends the list as text. The inner cast declares this type.
            format!("{column} = ANY (CAST(CAST(${parameter} AS TEXT) AS BIGINT[]))")
        } else {
            format!("{column} IN (SELECT value FROM json_each(${parameter}))")
        }
    }

    /// Returns a list of ids as the value of one parameter, for [`Connection::is_one_of`].
    pub(crate) fn id_list(&self, ids: impl IntoIterator<Item = i64>) -> Value {
        let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        let ids = ids.join(",");
        if self.is_postgres() {
            format!("{{{ids}}}").into()
        } else {
            format!("[{ids}]").into()
        }
    }

    /// Returns the end of a SELECT that locks its rows until the transaction ends. It is empty on
    /// SQLite, where a write transaction excludes all others.
    ///
    /// `NO KEY` admits transactions that only check a foreign key to the row.
    pub(crate) fn row_lock(&self) -> &'static str {
        if self.is_postgres() {
            " FOR NO KEY UPDATE"
        } else {
            ""
        }
    }

    /// Returns `true` on PostgreSQL, `false` on SQLite.
    pub(crate) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    fn statement(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Statement, DbError> {
        let values: Vec<_> = values.into_iter().collect();
        if values.iter().any(contains_nul) {
            return Err(DbError::Nul);
        }
        let backend = self.0.get_database_backend();
        Ok(Statement::from_sql_and_values(backend, sql, values))
    }
}

fn contains_nul(value: &Value) -> bool {
    matches!(value, Value::String(Some(text)) if text.contains('\0'))
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
