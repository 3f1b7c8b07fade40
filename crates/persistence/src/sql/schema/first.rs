//! Migration 1: all tables.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, boolean, text, text_null},
};

/// Creates version 1 of the schema.
///
/// Times are in microseconds since 1970, UTC. They are only displayed: messages are ordered by
/// `seq`.
pub(super) struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m2026_11_23_first"
    }
}

#[async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            agents(),
            rooms(),
            members(),
            messages(),
            images(),
            read_positions(),
            sessions(),
        ] {
            manager.create_table(table).await?;
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

/// Returns a foreign key. Its rows are deleted together with the row that they reference if
/// `on_delete` says so.
pub(super) fn key(
    (table, column): (&'static str, &'static str),
    referenced: &'static str,
    on_delete: Option<ForeignKeyAction>,
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.from(table, column).to(referenced, "id");
    if let Some(action) = on_delete {
        key.on_delete(action);
    }
    key
}

const CASCADE: Option<ForeignKeyAction> = Some(ForeignKeyAction::Cascade);

fn agents() -> TableCreateStatement {
    Table::create()
        .table("agents")
        // On both databases, the id of a deleted row is not assigned again.
        .col(big_pk_auto("id"))
        .col(text("name"))
        .col(text_null("group_name"))
        .col(text("config_file"))
        .col(big_integer("created_at"))
        .col(big_integer_null("deleted_at"))
        .col(big_integer("version").default(1))
        .col(text("snapshot"))
        .col(big_integer("snapshot_version").default(1))
        .take()
}

fn rooms() -> TableCreateStatement {
    Table::create()
        .table("rooms")
        .col(big_pk_auto("id"))
        .col(text("owner"))
        .col(text("name"))
        .col(big_integer_null("direct_agent_id"))
        .col(big_integer_null("max_interactions"))
        .col(boolean("is_paused").default(false))
        .col(big_integer_null("finished_seq"))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .col(big_integer("version").default(1))
        .col(big_integer("last_seq").default(0))
        .col(big_integer("last_message_seq").default(0))
        .col(big_integer("last_user_seq").default(0))
        .col(big_integer_null("last_activity_at"))
        .foreign_key(&mut key(("rooms", "direct_agent_id"), "agents", None))
        .take()
}

fn members() -> TableCreateStatement {
    Table::create()
        .table("members")
        .col(big_integer("room_id"))
        .col(big_integer("agent_id"))
        .col(big_integer("joined_after_seq"))
        .col(big_integer("joined_at"))
        .col(big_integer("place"))
        .col(big_integer("version").default(1))
        .primary_key(Index::create().col("room_id").col("agent_id"))
        .foreign_key(&mut key(("members", "room_id"), "rooms", CASCADE))
        .foreign_key(&mut key(("members", "agent_id"), "agents", None))
        .take()
}

fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .col(big_pk_auto("id"))
        .col(big_integer("room_id"))
        .col(big_integer("seq"))
        .col(big_integer_null("agent_id"))
        .col(text("content"))
        .col(text("role"))
        .col(text_null("participant_type"))
        .col(text_null("participant_name"))
        .col(text_null("thinking"))
        .col(text_null("anthropic_calls"))
        .col(big_integer("timestamp"))
        .col(text_null("image_media_type"))
        .col(boolean("interrupted").default(false))
        .foreign_key(&mut key(("messages", "room_id"), "rooms", CASCADE))
        .foreign_key(&mut key(("messages", "agent_id"), "agents", None))
        .take()
}

fn images() -> TableCreateStatement {
    Table::create()
        .table("images")
        .col(big_integer("message_id").primary_key())
        .col(text("data"))
        .foreign_key(&mut key(("images", "message_id"), "messages", CASCADE))
        .take()
}

fn read_positions() -> TableCreateStatement {
    Table::create()
        .table("read_positions")
        .col(text("user_id"))
        .col(big_integer("room_id"))
        .col(big_integer("read_seq"))
        .col(big_integer("read_at"))
        .col(big_integer("version").default(1))
        .primary_key(Index::create().col("user_id").col("room_id"))
        .foreign_key(&mut key(("read_positions", "room_id"), "rooms", CASCADE))
        .take()
}

fn sessions() -> TableCreateStatement {
    let member = ForeignKey::create()
        .from("sessions", ("room_id", "agent_id"))
        .to("members", ("room_id", "agent_id"))
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    Table::create()
        .table("sessions")
        .col(big_integer("room_id"))
        .col(big_integer("agent_id"))
        .col(text("session_id"))
        .primary_key(Index::create().col("room_id").col("agent_id"))
        .foreign_key(&mut member.clone())
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name, table| Index::create().name(name).table(table).take();
    let is_direct = || Expr::col("direct_agent_id").is_not_null();
    vec![
        index("agents_living_name", "agents")
            .unique()
            .col("name")
            .and_where(Expr::col("deleted_at").is_null())
            .take(),
        index("rooms_owner_name", "rooms")
            .unique()
            .col("owner")
            .col("name")
            .and_where(Expr::col("direct_agent_id").is_null())
            .take(),
        index("rooms_direct", "rooms")
            .unique()
            .col("owner")
            .col("direct_agent_id")
            .and_where(is_direct())
            .take(),
        index("messages_seq", "messages")
            .unique()
            .col("room_id")
            .col("seq")
            .take(),
        index("messages_id", "messages")
            .col("room_id")
            .col("id")
            .take(),
        index("messages_author", "messages")
            .col("room_id")
            .col("agent_id")
            .col("id")
            .take(),
        index("read_positions_room", "read_positions")
            .col("room_id")
            .take(),
    ]
}
