//! Migration 2: counts, marks and indexes. With them, the time of a read or a write does not grow
//! with the length of a room or with the number of rooms.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::*,
    schema::{big_integer, big_integer_null, boolean},
};

use super::first::key;

/// Changes version 1 of the schema to version 2.
///
/// * `answer_counts` contains the number of messages of each agent in a room since the room's last
///   clear. `rooms.message_count` contains the number of all messages since then. Each append
///   updates both, so that no read counts messages.
/// * `rooms.cleared_seq` and `rooms.cleared_id` are marks. Messages with sequence numbers and ids
///   up to the marks count as deleted. Their rows remain until the purge deletes them, and
///   `rooms.has_garbage` is true until then.
/// * `rooms.deleted_at` makes a room a tombstone. The purge deletes the tombstone after the room's
///   messages.
pub(super) struct Growth;

impl MigrationName for Growth {
    fn name(&self) -> &'static str {
        "m2026_11_28_growth"
    }
}

#[async_trait]
impl MigrationTrait for Growth {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(answer_counts()).await?;
        manager.exec_stmt(count_answers()).await?;
        for column in [
            big_integer("message_count").default(0).take(),
            big_integer("cleared_seq").default(0).take(),
            big_integer("cleared_id").default(0).take(),
            boolean("has_garbage").default(false).take(),
            big_integer_null("deleted_at").take(),
        ] {
            let alter = Table::alter().table("rooms").add_column(column).take();
            manager.alter_table(alter).await?;
        }
        manager.exec_stmt(count_messages()).await?;
        for name in ["rooms_owner_name", "rooms_direct"] {
            let drop = Index::drop().name(name).table("rooms").to_owned();
            manager.drop_index(drop).await?;
        }
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

fn answer_counts() -> TableCreateStatement {
    let cascade = Some(ForeignKeyAction::Cascade);
    Table::create()
        .table("answer_counts")
        .col(big_integer("room_id"))
        .col(big_integer("agent_id"))
        .col(big_integer("answers"))
        .primary_key(Index::create().col("room_id").col("agent_id"))
        .foreign_key(&mut key(("answer_counts", "room_id"), "rooms", cascade))
        .foreign_key(&mut key(("answer_counts", "agent_id"), "agents", None))
        .take()
}

fn count_answers() -> InsertStatement {
    let counts = Query::select()
        .columns(["room_id", "agent_id"])
        .expr(Expr::col(Asterisk).count())
        .from("messages")
        .and_where(Expr::col("agent_id").is_not_null())
        .group_by_columns(["room_id", "agent_id"])
        .take();
    Query::insert()
        .into_table("answer_counts")
        .columns(["room_id", "agent_id", "answers"])
        .select_from(counts)
        .expect("the numbers of columns are equal")
        .take()
}

fn count_messages() -> UpdateStatement {
    let count = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from("messages")
        .and_where(Expr::col(("messages", "room_id")).equals(("rooms", "id")))
        .take();
    Query::update()
        .table("rooms")
        .value(
            "message_count",
            Expr::SubQuery(None, Box::new(count.into())),
        )
        .take()
}

fn indexes() -> [IndexCreateStatement; 4] {
    let index = |name| Index::create().name(name).table("rooms").take();
    let is_living = || Expr::col("deleted_at").is_null();
    [
        index("rooms_with_garbage")
            .col("id")
            .and_where(Expr::col("has_garbage"))
            .take(),
        index("rooms_owner_name")
            .unique()
            .col("owner")
            .col("name")
            .and_where(Expr::col("direct_agent_id").is_null())
            .and_where(is_living())
            .take(),
        index("rooms_direct")
            .unique()
            .col("owner")
            .col("direct_agent_id")
            .and_where(Expr::col("direct_agent_id").is_not_null())
            .and_where(is_living())
            .take(),
        index("rooms_by_owner")
            .col("owner")
            .col("id")
            .and_where(is_living())
            .take(),
    ]
}
