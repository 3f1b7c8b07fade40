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
        otel.name = name(operation, table),
        otel.kind = "client",
        db.system.name = system(backend),
        db.operation.name = operation,
        db.collection.name = table,
        error.type = Empty,
        otel.status_code = Empty,
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
        span.record("otel.status_code", "ERROR");
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

/// Stands in the place of what is in parentheses.
const SUBQUERY: &str = "()";

/// Returns the statement without what stands in parentheses: subqueries, columns and values.
fn outside_parentheses(sql: &str) -> String {
    let (mut depth, mut outer) = (0_usize, String::new());
    for character in sql.chars() {
        match character {
            '(' => {
                if depth == 0 {
                    outer.push_str(SUBQUERY);
                }
                depth += 1;
            }
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outer.push(character),
            _ => {}
        }
    }
    outer
}

/// Returns the operation of a statement without its parentheses.
fn operation(outer: &str) -> &'static str {
    let mut words = outer.split_ascii_whitespace();
    let known = |word| OPERATIONS.into_iter().find(|known| *known == word);
    words.find_map(known).unwrap_or("OTHER")
}

/// Returns the first table that a statement without its parentheses names. A subquery is none.
fn table(outer: &str) -> Option<&str> {
    let mut words = outer.split_ascii_whitespace();
    words.find(|word| matches!(*word, "FROM" | "INTO" | "UPDATE"))?;
    words
        .next()
        .filter(|word| *word != SUBQUERY)
        .map(|word| word.trim_matches('"'))
}

/// Returns the name of the span of a statement.
fn name(operation: &str, table: Option<&str>) -> String {
    match table {
        Some(table) => format!("{operation} {table}"),
        None => operation.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_names_the_operation_and_the_table_of_a_statement() {
        let named = |sql: &str| {
            let outer = outside_parentheses(sql);
            name(operation(&outer), table(&outer))
        };
        for (sql, expected) in [
            ("SELECT \"id\" FROM \"rooms\" LIMIT 1", "SELECT rooms"),
            ("INSERT INTO messages (a) VALUES ($1)", "INSERT messages"),
            ("UPDATE \"rooms\" SET a = 1", "UPDATE rooms"),
            ("DELETE FROM \"rooms\"", "DELETE rooms"),
            (
                "WITH a AS (INSERT INTO b (c) VALUES ((1))), d AS (SELECT 1) UPDATE rooms SET b",
                "UPDATE rooms",
            ),
            ("SELECT a FROM (SELECT 1) AS batch", "SELECT"),
            ("COMMIT", "COMMIT"),
            ("VACUUM", "OTHER"),
            ("", "OTHER"),
        ] {
            assert_eq!(named(sql), expected, "{sql}");
        }
    }
}
