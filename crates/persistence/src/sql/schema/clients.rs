//! Migration 4: removals of single messages, keys of sent messages, and the sizes of images.

use sea_orm_migration::{
    async_trait::async_trait,
    prelude::*,
    schema::{big_integer, text},
};

use super::first::key;

/// Changes version 3 of the schema to version 4.
///
/// * `removals` contains the messages that were removed since the last clear of their room, and
///   `rooms.removed_seq` the sequence number of the last removal.
/// * `sent_keys` contains the keys under which users have sent messages. They are not deleted
///   together with their messages, because a key stays used for 24 hours.
/// * `images.bytes` is the size of an image. So the size of all images of an owner is added up
///   without reading them.
pub(super) struct Clients;

impl MigrationName for Clients {
    fn name(&self) -> &'static str {
        "m2026_11_30_clients"
    }
}

#[async_trait]
impl MigrationTrait for Clients {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("rooms", "removed_seq"), ("images", "bytes")] {
            let column = big_integer(column).default(0).take();
            let alter = Table::alter().table(table).add_column(column).take();
            manager.alter_table(alter).await?;
        }
        manager.exec_stmt(measure_images()).await?;
        manager.create_table(removals()).await?;
        manager.create_table(sent_keys()).await?;
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

fn measure_images() -> UpdateStatement {
    // Four characters of Base64 stand for three bytes.
    let bytes = Expr::expr(Func::char_length(Expr::col("data")))
        .div(4)
        .mul(3);
    Query::update().table("images").value("bytes", bytes).take()
}

fn removals() -> TableCreateStatement {
    let cascade = Some(ForeignKeyAction::Cascade);
    Table::create()
        .table("removals")
        .col(big_integer("room_id"))
        .col(big_integer("seq"))
        .col(big_integer("message_id"))
        .primary_key(Index::create().col("room_id").col("seq"))
        .foreign_key(&mut key(("removals", "room_id"), "rooms", cascade))
        .take()
}

fn sent_keys() -> TableCreateStatement {
    Table::create()
        .table("sent_keys")
        .col(text("user_id"))
        .col(text("send_key"))
        .col(text("digest"))
        .col(big_integer("room_id"))
        .col(big_integer("message_id"))
        .col(big_integer("sent_at"))
        .primary_key(Index::create().col("user_id").col("send_key"))
        .take()
}

fn indexes() -> [IndexCreateStatement; 2] {
    [
        Index::create()
            .name("messages_with_image")
            .table("messages")
            .col("room_id")
            .col("id")
            .and_where(Expr::col("image_media_type").is_not_null())
            .take(),
        Index::create()
            .name("sent_keys_by_time")
            .table("sent_keys")
            .col("sent_at")
            .take(),
    ]
}
