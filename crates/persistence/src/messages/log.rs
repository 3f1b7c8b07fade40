//! Queries of the messages in a room's log.

use domain::{MessageId, RoomId};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, Select,
    sea_query::{CaseStatement, Expr, ExprTrait as _, Query},
};

use crate::sql::tables::{
    messages::{Column, Entity},
    rooms,
};

/// Returns the condition that a message's id is above `after`, and that the message was not deleted
/// by a clear.
///
/// The condition is one lower bound, so that the search in the index begins after the rows that the
/// purge has not deleted yet.
pub(super) fn is_after(room: RoomId, after: MessageId) -> Expr {
    let cleared = || Expr::col(rooms::Column::ClearedId);
    let bound = CaseStatement::new()
        .case(cleared().gt(after.0), cleared())
        .finally(after.0);
    let bound = Query::select()
        .expr(bound)
        .from(rooms::Entity)
        .and_where(rooms::Column::Id.eq(room.0))
        .take();
    Expr::col((Entity, Column::Id)).gt(Expr::SubQuery(None, Box::new(bound.into())))
}

/// Returns the condition of [`is_after`] as text. The statement's first parameter is the room.
pub(super) fn is_after_text(after: &str) -> String {
    format!(
        "id > (SELECT CASE WHEN cleared_id > {after} THEN cleared_id ELSE {after} END \
         FROM rooms WHERE id = $1)"
    )
}

/// Returns a query of the messages of a room above `after` that were not deleted by a clear.
pub(super) fn log_after(room: RoomId, after: MessageId) -> Select<Entity> {
    Entity::find()
        .filter(Column::RoomId.eq(room.0))
        .filter(is_after(room, after))
}

/// Below the ids of all messages.
pub(super) const START: MessageId = MessageId(0);
