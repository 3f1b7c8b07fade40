//! Methods that run SQL statements on a connection, and helpers for their parameters.

use domain::Result;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    Insert, QueryResult, QuerySelect as _, QueryTrait, Select, Statement, UpdateMany, Value,
    sea_query::{Expr, ExprTrait as _, Func, Query, extension::postgres::PgFunc},
};

use super::{error::DbError, span::in_statement_span};

/// A transaction, or a pool of connections for reads, on which statements are run.
pub(crate) struct Connection<'a, C>(pub(crate) &'a C);

/// A connection inside the transaction of one write.
pub(crate) type Tx<'a> = Connection<'a, DatabaseTransaction>;

impl<C: ConnectionTrait> Connection<'_, C> {
    /// Runs a query and returns its rows. See [`model`](super::rows::model).
    pub(crate) async fn select<E: EntityTrait>(
        &self,
        query: Select<E>,
    ) -> Result<Vec<QueryResult>> {
        let rows = self.query(QueryTrait::build(&query, self.backend())).await;
        rows.map_err(DbError::into_error)
    }

    /// Runs a query and returns its first row, or `None` if it has no rows.
    pub(crate) async fn select_one<E: EntityTrait>(
        &self,
        query: Select<E>,
    ) -> Result<Option<QueryResult>> {
        Ok(self.select(query.limit(1)).await?.into_iter().next())
    }

    /// Inserts a row and returns it, or `None` if a conflict prevents the insertion and the
    /// statement says to do nothing.
    pub(crate) async fn insert<A: ActiveModelTrait>(
        &self,
        mut insert: Insert<A>,
    ) -> Result<Option<QueryResult>, DbError> {
        QueryTrait::query(&mut insert).returning_all();
        let rows = self
            .query(QueryTrait::build(&insert, self.backend()))
            .await?;
        Ok(rows.into_iter().next())
    }

    /// Changes at most one row and returns it, or `None` if the condition matches no row.
    pub(crate) async fn update_one<E: EntityTrait>(
        &self,
        mut update: UpdateMany<E>,
    ) -> Result<Option<QueryResult>, DbError> {
        QueryTrait::query(&mut update).returning_all();
        // Fetches all rows. On SQLite, fetching only one row of a statement with `RETURNING` would
        // hide an error that occurs after the first row.
        let rows = self
            .query(QueryTrait::build(&update, self.backend()))
            .await?;
        Ok(rows.into_iter().next())
    }

    /// Runs an INSERT, UPDATE or DELETE, and returns the number of rows that it changed.
    pub(crate) async fn run(&self, statement: &impl QueryTrait) -> Result<u64> {
        let done = self.execute(statement.build(self.backend())).await;
        done.map_err(DbError::into_error)
    }

    /// Runs SQL text and returns all rows. Placeholders are `$1`, `$2`, … on both backends.
    /// Decision 0031 says which statements are text.
    pub(crate) async fn query_text(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, DbError> {
        self.query(Statement::from_sql_and_values(self.backend(), sql, values))
            .await
    }

    /// Runs SQL text and returns the number of rows that it changed.
    pub(crate) async fn run_text(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, DbError> {
        self.execute(Statement::from_sql_and_values(self.backend(), sql, values))
            .await
    }

    /// Returns the condition that `column` equals one of these ids.
    ///
    /// The list is one parameter, whatever its length. Both databases limit the number of
    /// parameters.
    pub(crate) fn is_one_of(
        &self,
        column: impl ColumnTrait,
        ids: impl IntoIterator<Item = i64>,
    ) -> Expr {
        let (column, ids) = (Expr::col(column.as_column_ref()), self.id_list(ids));
        if self.is_postgres() {
            return column.eq(PgFunc::any(Expr::val(ids)));
        }
        let values = Query::select()
            .column("value")
            .from_function(Func::cust("json_each").arg(ids), "ids")
            .take();
        column.in_subquery(values)
    }

    /// Returns a list of ids as the value of one parameter: an array on PostgreSQL, and a JSON
    /// array on SQLite.
    pub(crate) fn id_list(&self, ids: impl IntoIterator<Item = i64>) -> Value {
        if self.is_postgres() {
            return ids.into_iter().collect::<Vec<_>>().into();
        }
        let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
        format!("[{}]", ids.join(",")).into()
    }

    /// Returns `true` on PostgreSQL, `false` on SQLite.
    pub(crate) fn is_postgres(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }

    fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn query(&self, statement: Statement) -> Result<Vec<QueryResult>, DbError> {
        refuse_nul(&statement)?;
        let sql = statement.sql.clone();
        let rows = self.0.query_all_raw(statement);
        Ok(in_statement_span(self.backend(), &sql, rows).await?)
    }

    async fn execute(&self, statement: Statement) -> Result<u64, DbError> {
        refuse_nul(&statement)?;
        let sql = statement.sql.clone();
        let done = self.0.execute_raw(statement);
        Ok(in_statement_span(self.backend(), &sql, done)
            .await?
            .rows_affected())
    }
}

fn refuse_nul(statement: &Statement) -> Result<(), DbError> {
    let values = statement.values.as_ref().map(|values| &values.0);
    if values.is_some_and(|values| values.iter().any(contains_nul)) {
        return Err(DbError::Nul);
    }
    Ok(())
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

/// Converts a row limit to a number for `LIMIT`, which is signed in SQL. A limit above `i64::MAX`
/// becomes `i64::MAX`, which no table exceeds.
pub(crate) fn row_limit(limit: usize) -> u64 {
    i64::try_from(limit).unwrap_or(i64::MAX).unsigned_abs()
}

/// Converts a row limit to the value of a placeholder. See [`row_limit`].
pub(crate) fn limit_value(limit: usize) -> Value {
    row_limit(limit).cast_signed().into()
}
