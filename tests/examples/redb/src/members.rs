//! The members of rooms: a part of the port `Rooms`, and the port `Sessions`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use domain::{Added, AgentId, Error, Member, NewMessage, Result, RoomId, Seq, Session, Sessions};
use redb::WriteTransaction;

use crate::{
    agents::require_living,
    database_file::TxResult,
    json_table::{Tables, first_entries, remove_entry, remove_span, set_entry},
    messages::append,
    rooms::require_activity,
    store::RedbStore,
    tables::{COUNTERS, MEMBER_PLACES, MEMBERS, SESSIONS, all_in, increment, number},
};

#[async_trait]
impl Sessions for RedbStore {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let session = |(_, agent): (i64, i64), session_id: &str| {
            Ok(Session {
                agent: AgentId(agent),
                session_id: session_id.to_owned(),
            })
        };
        self.read(move |tx| {
            let sessions = first_entries(tx, SESSIONS, all_in(room), usize::MAX, session)?;
            Ok(sessions.into())
        })
        .await
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        self.write(move |tx| {
            require_activity(tx, room)?;
            require_place(tx, room, agent)?;
            set_entry(tx, SESSIONS, (room.0, agent.0), session_id.as_str())?;
            Ok(())
        })
        .await
    }
}

/// Returns the members of a room in the order of joining.
pub(crate) fn list(tables: &impl Tables, room: RoomId) -> TxResult<Vec<Member>> {
    MEMBERS.first(tables, all_in(room), usize::MAX)
}

/// Returns the membership of an agent in a room.
pub(crate) fn find(tables: &impl Tables, room: RoomId, agent: AgentId) -> TxResult<Option<Member>> {
    let Some(place) = number(tables, MEMBER_PLACES, (room.0, agent.0))? else {
        return Ok(None);
    };
    MEMBERS.get(tables, (room.0, place))
}

/// Adds an agent to a room, and announces it if the room has messages.
pub(crate) fn add(tx: &WriteTransaction, room: RoomId, agent: AgentId) -> TxResult<Added> {
    let name = require_living(tx, agent)?.name;
    let activity = require_activity(tx, room)?;
    if let Some(member) = find(tx, room, agent)? {
        return Ok(Added {
            member,
            message: None,
        });
    }
    let member = Member {
        agent,
        joined_after_seq: activity.last_seq,
        joined_at: Utc::now(),
    };
    let place = increment(tx, COUNTERS, "places")?;
    MEMBERS.insert(tx, (room.0, place), &member)?;
    set_entry(tx, MEMBER_PLACES, (room.0, agent.0), place)?;
    let has_messages = activity.last_message_seq > Seq(0);
    let message = if has_messages {
        let text = format!("{name} joined the chat");
        let announcement = append(tx, NewMessage::from_system(room, text))?;
        Some(Arc::new(announcement))
    } else {
        None
    };
    Ok(Added { member, message })
}

/// Removes an agent, living or deleted, and its session from a room.
pub(crate) fn remove(tx: &WriteTransaction, room: RoomId, agent: AgentId) -> TxResult<()> {
    require_activity(tx, room)?;
    let place = require_place(tx, room, agent)?;
    MEMBERS.remove(tx, (room.0, place))?;
    remove_entry(tx, MEMBER_PLACES, (room.0, agent.0))?;
    remove_entry(tx, SESSIONS, (room.0, agent.0))?;
    Ok(())
}

/// Removes all members of a room and their sessions.
pub(crate) fn remove_all(tx: &WriteTransaction, room: RoomId) -> TxResult<()> {
    remove_span(tx, MEMBERS.definition, all_in(room))?;
    remove_span(tx, MEMBER_PLACES, all_in(room))?;
    remove_span(tx, SESSIONS, all_in(room))?;
    Ok(())
}

fn require_place(tables: &impl Tables, room: RoomId, agent: AgentId) -> TxResult<i64> {
    let place = number(tables, MEMBER_PLACES, (room.0, agent.0))?;
    Ok(place.ok_or_else(|| Error::missing("member", agent))?)
}
