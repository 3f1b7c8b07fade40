//! Renders the list of rooms.

use std::{cmp::Reverse, collections::HashMap};

use axum::body::Bytes;
use domain::{Result, RoomId, Seq, Timestamp, UserId};

use super::{json::Json, renderer::Renderer};
use crate::http::list_part::ListPart;

/// The longest text that follows a room's fields in the list, including the comma after the room.
/// The capacity of the text is computed from it.
const LONGEST_END: &str = ",\"has_unread\":false},";

struct Summary {
    room: RoomId,
    has_unread: bool,
    /// The time of the room's last activity; if there was none, the time of its creation.
    active_at: Timestamp,
    fields: Bytes,
}

impl Renderer<'_> {
    /// Returns a part of the rooms that `user` may see: unread first, then by latest activity.
    pub(crate) async fn summaries(&self, user: &UserId, part: ListPart) -> Result<Json> {
        let ports = self.ports;
        let after = part.after.map(RoomId);
        let rooms = if *user == UserId::admin() {
            ports.rooms.list(after, part.limit).await?
        } else {
            ports.rooms.list_by_owner(user, after, part.limit).await?
        };
        let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
        let activities: HashMap<_, _> = ports.rooms.activities(&ids).await?.into_iter().collect();
        let positions = ports.read_positions.find_many(user, &ids).await?;
        let positions: HashMap<_, _> = positions
            .into_iter()
            .map(|position| (position.room, position))
            .collect();
        let mut summaries: Vec<_> = rooms
            .iter()
            .map(|room| {
                let activity = activities.get(&room.id).cloned().unwrap_or_default();
                let position = positions.get(&room.id);
                let read_seq = position.map_or(Seq(0), |position| position.read_seq);
                let last_read_at = position.map(|position| position.read_at);
                Summary {
                    room: room.id,
                    has_unread: activity.last_message_seq > read_seq,
                    active_at: activity.last_activity_at.unwrap_or(room.created_at),
                    fields: self.room_fields(room, &activity, last_read_at),
                }
            })
            .collect();
        summaries
            .sort_by_key(|summary| Reverse((summary.has_unread, summary.active_at, summary.room)));
        let bytes = summaries
            .iter()
            .map(|summary| summary.fields.len() + LONGEST_END.len())
            .sum();
        Ok(Json::array(summaries, bytes, |summary, text| {
            text.extend_from_slice(&summary.fields);
            let end: &[u8] = if summary.has_unread {
                b",\"has_unread\":true}"
            } else {
                b",\"has_unread\":false}"
            };
            text.extend_from_slice(end);
        }))
    }
}
