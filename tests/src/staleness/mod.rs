//! A checker for stale reads. It records the writes, and reports each read that shows older data
//! than it may.
//!
//! Each written value contains its version. A version is known once its write was acknowledged or a
//! read has shown it. A read may show the version that was known when the read began, or any later
//! version whose write has begun.

mod log;
mod verdict;
mod version;

use serde_json::Value;

use self::verdict::item;
pub use self::{
    log::WrittenLog,
    verdict::{Verdict, WrongRead},
    version::Version,
};

/// The record of a room that exists during the whole test.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name on the wire"
)]
pub struct WrittenRoom {
    pub id: i64,
    pub name: Version,
    pub limit: Version,
    pub paused: Version,
    /// The versions of the memberships: one for each agent, in the order of
    /// [`WrittenState::agents`]. An agent is a member at odd versions.
    pub members: Vec<Version>,
    pub log: WrittenLog,
}

/// The record of an agent that exists during the whole test.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name on the wire"
)]
pub struct WrittenAgent {
    pub id: i64,
    pub nutshell: Version,
    pub characteristics: Version,
    pub priority: Version,
    pub memory: Version,
}

/// The kind of a [`TransientItem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ItemKind {
    Room,
    Agent,
}

impl ItemKind {
    /// Returns the HTTP path of the item with this id.
    pub fn path(self, id: i64) -> String {
        match self {
            Self::Room => format!("/rooms/{id}"),
            Self::Agent => format!("/agents/{id}"),
        }
    }
}

/// A room or an agent that is created during the test, and may be deleted.
#[derive(Clone, Copy, Debug)]
pub struct TransientItem {
    /// The item's kind.
    pub kind: ItemKind,
    /// The item's id, known once its creation was acknowledged.
    pub id: i64,
    /// True once its deletion has begun.
    pub is_deleting: bool,
    /// True once its deletion was acknowledged.
    pub is_deleted: bool,
}

/// The record of everything that a test has written.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the types say it")]
pub struct WrittenState {
    pub rooms: Vec<WrittenRoom>,
    pub agents: Vec<WrittenAgent>,
    pub transients: Vec<TransientItem>,
}

/// The part of the state that a response shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "indices are those of `WrittenState`")]
pub enum ReadView {
    /// All rooms.
    Rooms,
    /// One room with its agents and messages.
    Room(usize),
    /// A room's agents.
    Members(usize),
    /// A room's messages with ids above `since`: all of them, or the newest 200 if there are more.
    Log { room: usize, since: i64 },
    /// All agents.
    Agents,
    /// One agent.
    Agent(usize),
    /// A transient item. The response is null if the item does not exist.
    Transient { kind: ItemKind, id: i64 },
}

impl WrittenState {
    /// Returns the name that a room has at a version.
    pub fn room_name(room: usize, version: u64) -> String {
        format!("room {room} v{version}")
    }

    /// Checks the response to a read. `before` is the state when the read began.
    pub fn check_read(&mut self, before: &Self, view: ReadView, shown: &Value) -> Verdict {
        match view {
            ReadView::Rooms => {
                for index in 0..self.rooms.len() {
                    let room = item(shown, self.rooms[index].id)?;
                    let room = room.ok_or_else(|| WrongRead::Stale("a room is missing".into()))?;
                    self.check_room(before, index, room)?;
                }
                self.check_transients(before, ItemKind::Room, shown)
            }
            ReadView::Room(index) => {
                self.check_room(before, index, shown)?;
                self.check_members(before, index, &shown["agents"])?;
                self.check_log(before, index, 0, &shown["messages"])
            }
            ReadView::Members(index) => self.check_members(before, index, shown),
            ReadView::Log { room, since } => self.check_log(before, room, since, shown),
            ReadView::Agents => {
                for index in 0..self.agents.len() {
                    let agent = item(shown, self.agents[index].id)?;
                    let agent =
                        agent.ok_or_else(|| WrongRead::Stale("an agent is missing".into()))?;
                    self.check_agent(before, index, agent)?;
                }
                self.check_transients(before, ItemKind::Agent, shown)
            }
            ReadView::Agent(index) => self.check_agent(before, index, shown),
            ReadView::Transient { kind, id } => {
                let find = |state: &Self| {
                    let mut transients = state.transients.iter();
                    transients
                        .find(|item| item.kind == kind && item.id == id)
                        .copied()
                };
                let (Some(before), Some(now)) = (find(before), find(self)) else {
                    return Ok(());
                };
                check_transient(before, now, !shown.is_null())
            }
        }
    }

    fn check_log(&mut self, before: &Self, index: usize, since: i64, shown: &Value) -> Verdict {
        let before = &before.rooms[index].log;
        self.rooms[index].log.check_read(before, since, shown)
    }

    fn check_room(&mut self, before: &Self, index: usize, shown: &Value) -> Verdict {
        let (room, before) = (&mut self.rooms[index], &before.rooms[index]);
        let name = &shown["name"];
        room.name
            .check_read(before.name, "room name", name, |version| {
                *name == Self::room_name(index, version)
            })?;
        let limit = &shown["max_interactions"];
        room.limit
            .check_read(before.limit, "limit", limit, |version| {
                limit.as_u64().unwrap_or(0) == version
            })?;
        let paused = &shown["is_paused"];
        room.paused
            .check_read(before.paused, "pause", paused, |version| {
                *paused == (version % 2 == 1)
            })
    }

    fn check_members(&mut self, before: &Self, index: usize, shown: &Value) -> Verdict {
        for agent in 0..self.agents.len() {
            let found = item(shown, self.agents[agent].id)?;
            let is_member = Value::from(found.is_some());
            self.rooms[index].members[agent].check_read(
                before.rooms[index].members[agent],
                "membership",
                &is_member,
                |version| found.is_some() == (version % 2 == 1),
            )?;
            if let Some(found) = found {
                self.check_agent(before, agent, found)?;
            }
        }
        Ok(())
    }

    fn check_agent(&mut self, before: &Self, index: usize, shown: &Value) -> Verdict {
        let (agent, before) = (&mut self.agents[index], &before.agents[index]);
        let nutshell = &shown["in_a_nutshell"];
        agent
            .nutshell
            .check_read(before.nutshell, "nutshell", nutshell, |version| {
                *nutshell == format!("v{version}")
            })?;
        let characteristics = &shown["characteristics"];
        agent.characteristics.check_read(
            before.characteristics,
            "characteristics",
            characteristics,
            |version| *characteristics == format!("v{version}"),
        )?;
        let priority = &shown["priority"];
        agent
            .priority
            .check_read(before.priority, "priority", priority, |version| {
                *priority == version
            })?;
        let events = shown["recent_events"].as_str();
        let memories = Value::from(events.map_or(0, |events| events.lines().count()));
        agent
            .memory
            .check_read(before.memory, "number of memories", &memories, |version| {
                memories == version
            })
    }

    fn check_transients(&mut self, before: &Self, kind: ItemKind, shown: &Value) -> Verdict {
        for (before, now) in before
            .transients
            .iter()
            .zip(&self.transients)
            .filter(|(before, _)| before.kind == kind)
        {
            check_transient(*before, *now, item(shown, now.id)?.is_some())?;
        }
        Ok(())
    }
}

fn check_transient(before: TransientItem, now: TransientItem, is_shown: bool) -> Verdict {
    let stale = |what: &str| Err(WrongRead::Stale(format!("{before:?} {what}")));
    match is_shown {
        true if before.is_deleted => stale("was deleted, but is shown"),
        false if !now.is_deleting => stale("was created, but is not shown"),
        true | false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deleted_item_must_not_be_shown_and_a_created_one_must() {
        let created = TransientItem {
            kind: ItemKind::Room,
            id: 5,
            is_deleting: false,
            is_deleted: false,
        };
        let view = ReadView::Transient {
            kind: ItemKind::Room,
            id: 5,
        };
        let mut state = WrittenState {
            transients: vec![created],
            ..WrittenState::default()
        };
        let before = state.clone();
        assert!(state.check_read(&before, view, &Value::Null).is_err());
        state.transients[0].is_deleting = true;
        state.check_read(&before, view, &Value::Null).unwrap();
        state.transients[0].is_deleted = true;
        let before = state.clone();
        let shown = json!([{ "id": 5 }]);
        assert!(state.check_read(&before, ReadView::Rooms, &shown).is_err());
    }
}
