//! The spans of statements, which monitoring systems record. Their fields have the names of
//! OpenTelemetry's conventions for databases.

use sea_orm::{DbBackend, DbErr};
use tracing::{Instrument as _, Span, field::Empty, info_span};

/// Runs a statement in its span. The span has the statement's first word and table, but never its
/// text or its parameters.
pub(super) async fn in_statement_span<T>(
    backend: DbBackend,
    sql: &str,
    statement: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let outer = outside_parentheses(sql);
    let (operation, table) = (operation(&outer), table(&outer));
    let span = info_span!(
        target: "persistence",
        "statement",
        otel.name = format_args!("{operation} {}", table.unwrap_or_default()),
        otel.kind = "client",
        db.system.name = system(backend),
        db.operation.name = operation,
        db.collection.name = table,
        error.type = Empty,
    );
    record(&span, statement.instrument(span.clone()).await)
}

/// Runs COMMIT in the span of a statement.
pub(super) async fn in_commit_span(
    backend: DbBackend,
    commit: impl Future<Output = Result<(), DbErr>>,
) -> Result<(), DbErr> {
    in_statement_span(backend, "COMMIT", commit).await
}

/// Waits for a connection that may write, and for the begin of its transaction, in a span.
pub(super) async fn in_wait_span<T>(
    backend: DbBackend,
    wait: impl Future<Output = domain::Result<T>>,
) -> domain::Result<T> {
    let span = info_span!(
        target: "persistence",
        "wait_for_connection",
        otel.name = "BEGIN",
        otel.kind = "client",
        db.system.name = system(backend),
        db.operation.name = "BEGIN",
        db.client.connection.pool.name = "writer",
    );
    wait.instrument(span).await
}

fn record<T>(span: &Span, result: Result<T, DbErr>) -> Result<T, DbErr> {
    if let Err(error) = &result {
        let kind = match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => "connection",
            error if error.sql_err().is_some() => "constraint",
            _ => "statement",
        };
        span.record("error.type", kind);
    }
    result
}

fn system(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "postgresql",
        _ => "sqlite",
    }
}

/// The statements that spans name. Others are named `OTHER`.
const OPERATIONS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "COMMIT"];

/// Returns the statement without what stands in parentheses: subqueries, columns and values.
fn outside_parentheses(sql: &str) -> String {
    let mut depth = 0_usize;
    let mut outer = sql.to_owned();
    outer.retain(|character| {
        depth += usize::from(character == '(');
        let is_outside = depth == 0;
        depth -= usize::from(character == ')' && depth > 0);
        is_outside
    });
    outer
}

/// Returns the operation of a statement without its parentheses.
fn operation(outer: &str) -> &'static str {
    let mut words = outer.split_ascii_whitespace();
    let known = |word| OPERATIONS.into_iter().find(|known| *known == word);
    words.find_map(known).unwrap_or("OTHER")
}

/// Returns the first table that a statement without its parentheses names.
fn table(outer: &str) -> Option<&str> {
    let mut words = outer.split_ascii_whitespace();
    words.find(|word| matches!(*word, "FROM" | "INTO" | "UPDATE"))?;
    Some(words.next()?.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_names_the_operation_and_the_table_of_a_statement() {
        for (sql, expected) in [
            (
                "SELECT \"id\" FROM \"rooms\" LIMIT 1",
                ("SELECT", Some("rooms")),
            ),
            (
                "INSERT INTO messages (a) VALUES ($1)",
                ("INSERT", Some("messages")),
            ),
            ("UPDATE \"rooms\" SET a = 1", ("UPDATE", Some("rooms"))),
            ("DELETE FROM \"rooms\"", ("DELETE", Some("rooms"))),
            (
                "WITH a AS (INSERT INTO b (c) VALUES ((1))), d AS (SELECT 1) UPDATE rooms SET b",
                ("UPDATE", Some("rooms")),
            ),
            ("COMMIT", ("COMMIT", None)),
            ("VACUUM", ("OTHER", None)),
            ("", ("OTHER", None)),
        ] {
            let outer = outside_parentheses(sql);
            assert_eq!((operation(&outer), table(&outer)), expected, "{sql}");
        }
    }
}
