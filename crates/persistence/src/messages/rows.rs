//! Rows of messages and what belongs to them.

use std::sync::Arc;

use domain::{AgentId, Image, Message, MessageId, ParticipantType, Result, Role, RoomId, Seq};
use sea_orm::{FromQueryResult, QueryResult};

use crate::sql::{
    rows::{Columns, model, partial_model},
    tables::messages::{Column, Entity},
};

pub(super) fn to_message(row: &QueryResult) -> Result<Arc<Message>> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(row.id);
    let participant_type = row.participant_type.as_deref();
    Ok(Arc::new(Message {
        id: MessageId(row.id),
        room: RoomId(row.room_id),
        seq: Seq(row.seq),
        author: row.agent_id.map(AgentId),
        content: row.content,
        role: columns.parse(Column::Role, &row.role, Role::parse)?,
        participant_type: columns.parse_opt(
            Column::ParticipantType,
            participant_type,
            ParticipantType::parse,
        )?,
        participant_name: row.participant_name,
        thinking: row.thinking,
        anthropic_calls: columns.parse_opt(
            Column::AnthropicCalls,
            row.anthropic_calls.as_deref(),
            |json| serde_json::from_str::<Vec<String>>(json),
        )?,
        timestamp: columns.time(Column::Timestamp, row.timestamp)?,
        image_media_type: row.image_media_type,
        interrupted: row.interrupted,
    }))
}

pub(super) fn to_page(rows: &[QueryResult]) -> Result<Vec<Arc<Message>>> {
    rows.iter().map(to_message).collect()
}

/// Converts rows that are sorted newest first to messages that are sorted oldest first.
pub(super) fn to_oldest_first(rows: &[QueryResult]) -> Result<Vec<Arc<Message>>> {
    rows.iter().rev().map(to_message).collect()
}

/// A room's last sequence number, with one of the room's counts.
#[derive(FromQueryResult)]
pub(super) struct CountRow {
    pub(super) last_seq: i64,
    pub(super) agent_id: Option<i64>,
    pub(super) answers: Option<i64>,
}

/// The id of a message in the end of a log; `None` if the log is empty.
#[derive(FromQueryResult)]
pub(super) struct NewestId {
    pub(super) id: Option<i64>,
}

/// An image, with the columns of its message.
#[derive(FromQueryResult)]
struct ImageRow {
    message_id: i64,
    image_media_type: String,
    data: String,
}

pub(super) fn to_image(row: &QueryResult) -> Result<(MessageId, Arc<Image>)> {
    let row: ImageRow = partial_model(row, "an image and its message")?;
    let image = Image {
        media_type: row.image_media_type,
        data: row.data,
    };
    Ok((MessageId(row.message_id), Arc::new(image)))
}
