//! The implementation of the port `UsageLog` in SQL.

pub(crate) mod old;

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::{Result, Usage, UsageKey, UsageLog, UsageRecord, UsageSum, UserId};
use sea_orm::{
    ActiveValue::Set,
    EntityTrait as _, FromQueryResult, IdenStatic as _, Value,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};

use crate::{
    sql::{
        connection::limit_value,
        error::DbError,
        rows::partial_model,
        tables::usage::{ActiveModel, Column, Entity},
    },
    store::SqlStore,
};

/// A row of sums.
#[derive(FromQueryResult)]
struct SumRow {
    value: String,
    input: i64,
    output: i64,
    cached: i64,
    requests: i64,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn column(key: UsageKey) -> Column {
    match key {
        UsageKey::Day => Column::Day,
        UsageKey::Owner => Column::Owner,
        UsageKey::Room => Column::RoomId,
        UsageKey::Agent => Column::AgentId,
        UsageKey::Model => Column::Model,
    }
}

impl SqlStore {
    /// Adds usage up. `columns` are the first columns of the result, and `rest` is the text behind
    /// the condition. The sums of PostgreSQL are numeric, so they are cast.
    async fn sum(
        &self,
        columns: &str,
        condition: &str,
        values: Vec<Value>,
    ) -> Result<Vec<UsageSum>> {
        let sums = ["input", "output", "cached", "requests"]
            .map(|name| format!("CAST(COALESCE(SUM({name}), 0) AS BIGINT) AS {name}"))
            .join(", ");
        let sql = format!("SELECT {columns} AS value, {sums} FROM usage WHERE {condition}");
        let rows = self.database.read().query_text(&sql, values).await;
        let rows = rows.map_err(DbError::into_error)?;
        let sum = |row| {
            let row: SumRow = partial_model(row, "sums of table usage")?;
            let usage = Usage {
                input: unsigned(row.input),
                output: unsigned(row.output),
                cached: unsigned(row.cached),
                requests: unsigned(row.requests),
            };
            Ok(UsageSum {
                value: row.value,
                usage,
            })
        };
        rows.iter().map(sum).collect()
    }
}

/// Returns a condition for the second placeholder, and its value.
fn of_owner(owner: Option<UserId>) -> (&'static str, Option<Value>) {
    match owner {
        Some(owner) => (" AND owner = $2", Some(owner.as_str().into())),
        None => ("", None),
    }
}

#[async_trait]
impl UsageLog for SqlStore {
    async fn add(&self, record: UsageRecord) -> Result<()> {
        let usage = record.usage;
        let insert = Entity::insert(ActiveModel {
            day: Set(record.day.to_string()),
            owner: Set(record.owner.as_str().to_owned()),
            room_id: Set(record.room.0),
            agent_id: Set(record.agent.0),
            model: Set(record.model),
            input: Set(signed(usage.input)),
            output: Set(signed(usage.output)),
            cached: Set(signed(usage.cached)),
            requests: Set(signed(usage.requests)),
        });
        let mut add = OnConflict::columns(UsageKey::ALL.map(column));
        for (column, more) in [
            (Column::Input, usage.input),
            (Column::Output, usage.output),
            (Column::Cached, usage.cached),
            (Column::Requests, usage.requests),
        ] {
            add.value(column, Expr::col((Entity, column)).add(signed(more)));
        }
        let insert = insert.on_conflict(add);
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let added = tx.insert(insert).await;
                    added.map(drop).map_err(DbError::into_error)
                })
            })
            .await
    }

    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64> {
        let (of_owner, owner) = of_owner(owner);
        let values = [Some(day.to_string().into()), owner];
        let condition = format!("day = $1{of_owner}");
        let values = values.into_iter().flatten().collect();
        let sums = self.sum("''", &condition, values).await?;
        Ok(sums.iter().map(|sum| sum.usage.tokens()).sum())
    }

    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>> {
        let value = format!("CAST({} AS TEXT)", column(key).as_str());
        let (of_owner, owner) = of_owner(owner);
        let limit_place = if owner.is_some() { 3 } else { 2 };
        let condition = format!(
            "day >= $1{of_owner} GROUP BY 1 ORDER BY SUM(input) + SUM(output) DESC \
             LIMIT ${limit_place}"
        );
        let values = [
            Some(since.to_string().into()),
            owner,
            Some(limit_value(limit)),
        ];
        self.sum(&value, &condition, values.into_iter().flatten().collect())
            .await
    }
}
