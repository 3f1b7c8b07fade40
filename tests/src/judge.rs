//! Judges reads: what was written and what was read say how old an answer may be.
//!
//! Each written value carries its version. A read is judged by what was known before it began, that is acknowledged or
//! read: it may show that or anything begun since, and nothing older.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::random::Random;

/// The versions of one value, which one writer at a time raises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    known: u64,
    begun: u64,
}

/// The messages of one room. A clear begins the next epoch, in which no message is sent before it is acknowledged; each
/// message's text is its epoch.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The clears that were begun.
    pub begun: u64,
    epoch: u64,
    known: Arc<BTreeSet<i64>>,
}

/// One room that is there throughout.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name on the wire"
)]
pub struct Room {
    pub id: i64,
    pub name: Version,
    pub limit: Version,
    pub paused: Version,
    /// For each agent, in the order of [`State::agents`]; it is in the room at odd versions.
    pub members: Vec<Version>,
    pub log: Log,
}

/// One agent that is there throughout.
#[derive(Clone, Debug, Default)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name on the wire"
)]
pub struct Agent {
    pub id: i64,
    pub nutshell: Version,
    pub characteristics: Version,
    pub priority: Version,
    pub memory: Version,
}

/// A room or an agent that comes and may go.
#[derive(Clone, Copy, Debug)]
pub struct Passing {
    /// Whether it is a room; else it is an agent.
    pub is_room: bool,
    /// Its id, known once its creation was acknowledged.
    pub id: i64,
    /// Whether its deletion was begun.
    pub deleting: bool,
    /// Whether its deletion was acknowledged.
    pub deleted: bool,
}

/// All that was written.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the plurals of what stands above")]
pub struct State {
    pub rooms: Vec<Room>,
    pub agents: Vec<Agent>,
    pub passing: Vec<Passing>,
}

/// What an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "indices are those of `State`")]
pub enum View {
    /// All rooms.
    Rooms,
    /// One room with agents and messages.
    Room(usize),
    /// A room's agents.
    Members(usize),
    /// A room's messages above `since`, all of them or the newest 200.
    Log { room: usize, since: i64 },
    /// All agents.
    Agents,
    /// One agent.
    Agent(usize),
    /// Something that comes and may go: there, or null.
    Passing { is_room: bool, id: i64 },
}

/// What is wrong with an answer.
pub type Judged = Result<(), String>;

impl Version {
    /// A version that was acknowledged.
    pub fn at(version: u64) -> Self {
        Self {
            known: version,
            begun: version,
        }
    }

    /// Begins the next one.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// It was acknowledged.
    pub fn end(&mut self, version: u64) {
        self.known = self.known.max(version);
    }

    /// A read that began at `before` showed a version that passes the test; the least one counts as read.
    fn see(
        &mut self,
        before: Self,
        what: &str,
        shown: &Value,
        test: impl Fn(u64) -> bool,
    ) -> Judged {
        let Some(version) = (before.known..=self.begun).find(|version| test(*version)) else {
            return Err(format!(
                "stale {what}: {shown} was read, version {} was known and {} begun",
                before.known, self.begun
            ));
        };
        self.end(version);
        Ok(())
    }
}

impl Log {
    /// A message was acknowledged.
    pub fn sent(&mut self, id: i64) {
        Arc::make_mut(&mut self.known).insert(id);
    }

    /// A clear was acknowledged.
    pub fn cleared(&mut self, epoch: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.known = Arc::default();
        }
    }

    /// An id to poll from: one of the newest that are known, or 0.
    pub fn sample(&self, random: &Random) -> i64 {
        self.known
            .iter()
            .rev()
            .nth(random.below(5))
            .copied()
            .unwrap_or(0)
    }

    fn see(&mut self, before: &Self, since: i64, shown: &Value) -> Judged {
        /// Above it, a room's newest messages are shown.
        const NEWEST: usize = 200;
        let rows = items(shown)?;
        let since = if rows.len() < NEWEST {
            since
        } else {
            since.max(rows[0]["id"].as_i64().unwrap_or(0) - 1)
        };
        let mut ids = BTreeSet::new();
        let mut epochs = BTreeSet::new();
        for row in rows
            .iter()
            .filter(|row| row["participant_type"] != "system")
        {
            ids.insert(row["id"].as_i64().ok_or("a message without an id")?);
            epochs.insert(
                row["content"]
                    .as_str()
                    .and_then(|text| text.parse::<u64>().ok())
                    .ok_or("a message without an epoch")?,
            );
        }
        if epochs.len() > 1 {
            return Err(format!("stale messages: of the epochs {epochs:?} together"));
        }
        if let Some(epoch) = epochs.first().filter(|epoch| **epoch < before.epoch) {
            return Err(format!(
                "stale messages: of epoch {epoch}, after {} was known",
                before.epoch
            ));
        }
        let missing: Vec<_> = before
            .known
            .range(since + 1..)
            .filter(|id| !ids.contains(id))
            .collect();
        let is_same_epoch = epochs.first().is_some_and(|epoch| *epoch == before.epoch);
        if !missing.is_empty() && (is_same_epoch || self.begun == before.epoch) {
            return Err(format!(
                "stale messages: {missing:?} were known and {ids:?} were read above {since}"
            ));
        }
        if !missing.is_empty() {
            // Only a clear takes them away.
            self.cleared(before.epoch + 1);
        }
        if epochs.first().is_some_and(|epoch| *epoch == self.epoch) && !ids.is_subset(&self.known) {
            Arc::make_mut(&mut self.known).extend(ids);
        }
        Ok(())
    }
}

impl State {
    /// The room's name at a version.
    pub fn room_name(room: usize, version: u64) -> String {
        format!("room {room} v{version}")
    }

    /// Judges an answer to a read that began at `before`.
    pub fn see(&mut self, before: &Self, view: View, shown: &Value) -> Judged {
        match view {
            View::Rooms => {
                for at in 0..self.rooms.len() {
                    let room = items(shown)?
                        .iter()
                        .find(|room| room["id"] == self.rooms[at].id);
                    self.see_room(
                        before,
                        at,
                        room.ok_or("stale rooms: one of them is missing")?,
                    )?;
                }
                self.see_passing(before, true, shown)
            }
            View::Room(at) => {
                self.see_room(before, at, shown)?;
                self.see_members(before, at, &shown["agents"])?;
                self.rooms[at]
                    .log
                    .see(&before.rooms[at].log, 0, &shown["messages"])
            }
            View::Members(at) => self.see_members(before, at, shown),
            View::Log { room, since } => {
                self.rooms[room]
                    .log
                    .see(&before.rooms[room].log, since, shown)
            }
            View::Agents => {
                for at in 0..self.agents.len() {
                    let agent = items(shown)?
                        .iter()
                        .find(|agent| agent["id"] == self.agents[at].id);
                    self.see_agent(
                        before,
                        at,
                        agent.ok_or("stale agents: one of them is missing")?,
                    )?;
                }
                self.see_passing(before, false, shown)
            }
            View::Agent(at) => self.see_agent(before, at, shown),
            View::Passing { is_room, id } => {
                let of = |state: &Self| {
                    state
                        .passing
                        .iter()
                        .find(|one| one.is_room == is_room && one.id == id)
                        .copied()
                };
                let (Some(before), Some(now)) = (of(before), of(self)) else {
                    return Ok(());
                };
                passed(before, now, !shown.is_null())
            }
        }
    }

    fn see_room(&mut self, before: &Self, at: usize, shown: &Value) -> Judged {
        let (room, before) = (&mut self.rooms[at], &before.rooms[at]);
        let (name, limit, paused) = (
            &shown["name"],
            &shown["max_interactions"],
            &shown["is_paused"],
        );
        room.name.see(before.name, "room name", name, |version| {
            *name == Self::room_name(at, version)
        })?;
        room.limit.see(before.limit, "limit", limit, |version| {
            limit.as_u64().unwrap_or(0) == version
        })?;
        room.paused.see(before.paused, "pause", paused, |version| {
            *paused == (version % 2 == 1)
        })
    }

    fn see_members(&mut self, before: &Self, at: usize, shown: &Value) -> Judged {
        for agent in 0..self.agents.len() {
            let found = items(shown)?
                .iter()
                .find(|row| row["id"] == self.agents[agent].id);
            let is_in = Value::from(found.is_some());
            self.rooms[at].members[agent].see(
                before.rooms[at].members[agent],
                "membership",
                &is_in,
                |version| found.is_some() == (version % 2 == 1),
            )?;
            if let Some(found) = found {
                self.see_agent(before, agent, found)?;
            }
        }
        Ok(())
    }

    fn see_agent(&mut self, before: &Self, at: usize, shown: &Value) -> Judged {
        let (agent, before) = (&mut self.agents[at], &before.agents[at]);
        let (nutshell, characteristics, priority) = (
            &shown["in_a_nutshell"],
            &shown["characteristics"],
            &shown["priority"],
        );
        let memories = Value::from(
            shown["recent_events"]
                .as_str()
                .map_or(0, |events| events.lines().count()),
        );
        agent
            .nutshell
            .see(before.nutshell, "nutshell", nutshell, |version| {
                *nutshell == format!("v{version}")
            })?;
        agent.characteristics.see(
            before.characteristics,
            "characteristics",
            characteristics,
            |version| *characteristics == format!("v{version}"),
        )?;
        agent
            .priority
            .see(before.priority, "priority", priority, |version| {
                *priority == version
            })?;
        agent
            .memory
            .see(before.memory, "memories", &memories, |version| {
                memories == version
            })
    }

    fn see_passing(&mut self, before: &Self, is_room: bool, shown: &Value) -> Judged {
        for (before, now) in before
            .passing
            .iter()
            .zip(&self.passing)
            .filter(|(one, _)| one.is_room == is_room)
        {
            passed(
                *before,
                *now,
                items(shown)?.iter().any(|row| row["id"] == now.id),
            )?;
        }
        Ok(())
    }
}

fn passed(before: Passing, now: Passing, is_shown: bool) -> Judged {
    match is_shown {
        true if before.deleted => Err(format!("stale: {before:?} was deleted and read")),
        false if !now.deleting => Err(format!("stale: {before:?} was made and not read")),
        true | false => Ok(()),
    }
}

fn items(shown: &Value) -> Result<&[Value], String> {
    shown
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("{shown} is not a list"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(of: &[(i64, u64)]) -> Value {
        of.iter().map(|(id, epoch)| json!({ "id": id, "content": epoch.to_string(), "participant_type": null })).collect()
    }

    #[test]
    fn a_version_below_what_was_known_is_stale_and_what_was_read_is_known() {
        let mut version = Version::at(3);
        let before = version;
        version.begin();
        assert!(
            version
                .see(before, "it", &Value::Null, |seen| seen == 2)
                .is_err()
        );
        assert!(
            version
                .see(before, "it", &Value::Null, |seen| seen == 5)
                .is_err()
        );
        version
            .see(before, "it", &Value::Null, |seen| seen == 4)
            .unwrap();
        let later = version;
        assert!(
            version
                .see(later, "it", &Value::Null, |seen| seen == 3)
                .is_err()
        );
    }

    #[test]
    fn a_message_that_was_known_must_be_shown_until_a_clear_begins() {
        let mut log = Log::default();
        log.sent(1);
        log.sent(2);
        let before = log.clone();
        assert!(log.see(&before, 0, &messages(&[(1, 0)])).is_err());
        assert!(log.see(&before, 0, &messages(&[])).is_err());
        log.see(&before, 1, &messages(&[(2, 0), (3, 0)])).unwrap();
        let before = log.clone();
        assert!(log.see(&before, 1, &messages(&[(2, 0)])).is_err());
        log.begun = 1;
        assert!(log.see(&before, 0, &messages(&[(1, 0), (2, 0)])).is_err());
        log.see(&before, 0, &messages(&[])).unwrap();
        let before = log.clone();
        assert!(
            log.see(&before, 0, &messages(&[(1, 0), (2, 0), (3, 0)]))
                .is_err()
        );
    }

    #[test]
    fn what_was_deleted_must_not_be_shown_and_what_was_made_must() {
        let one = Passing {
            is_room: true,
            id: 5,
            deleting: false,
            deleted: false,
        };
        let mut state = State {
            passing: vec![one],
            ..State::default()
        };
        let before = state.clone();
        assert!(
            state
                .see(
                    &before,
                    View::Passing {
                        is_room: true,
                        id: 5
                    },
                    &Value::Null
                )
                .is_err()
        );
        state.passing[0] = Passing {
            deleting: true,
            ..one
        };
        state
            .see(
                &before,
                View::Passing {
                    is_room: true,
                    id: 5,
                },
                &Value::Null,
            )
            .unwrap();
        state.passing[0] = Passing {
            deleting: true,
            deleted: true,
            ..one
        };
        let before = state.clone();
        assert!(
            state
                .see(&before, View::Rooms, &json!([{ "id": 5 }]))
                .is_err()
        );
    }
}
