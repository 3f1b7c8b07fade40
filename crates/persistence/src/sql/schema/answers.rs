//! Migration 5: what agents remember of owners' rooms, and the tokens that answers used.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::*,
    schema::{big_integer, big_pk_auto, text, text_null},
};

use super::first::key;

/// Changes version 4 of the schema to version 5.
///
/// * `memories` contains what agents remember of the rooms of one owner. The ids are in the order
///   of the memories.
/// * `usage` contains the sums of tokens and requests. Its rows stay when their room is deleted, so
///   it has no foreign keys. Days are texts such as `2026-11-30`.
pub(super) struct Answers;

impl MigrationName for Answers {
    fn name(&self) -> &'static str {
        "m2026_11_30_answers"
    }
}

#[async_trait]
impl MigrationTrait for Answers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(memories()).await?;
        manager.create_table(usage()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    /// Returns `Some(false)`, because all migrations run in one transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

fn memories() -> TableCreateStatement {
    Table::create()
        .table("memories")
        .col(big_pk_auto("id"))
        .col(big_integer("agent_id"))
        .col(text("owner"))
        .col(text_null("day"))
        .col(text("content"))
        .foreign_key(&mut key(("memories", "agent_id"), "agents", None))
        .take()
}

fn usage() -> TableCreateStatement {
    Table::create()
        .table("usage")
        .col(text("day"))
        .col(text("owner"))
        .col(big_integer("room_id"))
        .col(big_integer("agent_id"))
        .col(text("model"))
        .col(big_integer("input"))
        .col(big_integer("output"))
        .col(big_integer("cached"))
        .col(big_integer("requests"))
        .primary_key(
            Index::create()
                .col("day")
                .col("owner")
                .col("room_id")
                .col("agent_id")
                .col("model"),
        )
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name, table| Index::create().name(name).table(table).take();
    [
        index("memories_by_agent", "memories")
            .col("agent_id")
            .col("owner")
            .col("id")
            .take(),
        index("memories_by_owner", "memories").col("owner").take(),
        index("usage_by_owner", "usage")
            .col("owner")
            .col("day")
            .take(),
    ]
}
