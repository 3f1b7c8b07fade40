//! The model of a room's activity, which is its last sequence numbers.

use std::sync::Arc;

use cache_adapter::Cache;
use domain::{Activity, NewMessage, Repositories, Result, RoomId};
use tests::{linearizability::SequentialModel, random::Random};

use super::model::{HistoryWorld, KeyModel, Outcome, done, found};

/// The activity of a room in the model; `None` once the room is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ActivityModel(Option<LastSeqs>);

/// The last sequence numbers of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct LastSeqs {
    /// The sequence number of the last entry of the log. A clear is an entry, too.
    log: i64,
    /// The sequence number of the last message since the last clear; 0 if there is none.
    message: i64,
    /// The sequence number of the last message from a user, even if it was cleared.
    user: i64,
}

#[derive(Clone, Debug)]
pub(crate) enum ActivityCall {
    /// A user sends a message.
    Send(u32),
    /// The system adds a message.
    Note(u32),
    Clear,
    DeleteRoom,
    Find,
    FindMany,
}

impl SequentialModel for ActivityModel {
    type Call = ActivityCall;
    type Outcome = Outcome<LastSeqs>;

    fn apply(&mut self, call: &ActivityCall) -> Self::Outcome {
        let Some(last) = &mut self.0 else {
            return Outcome::Missing;
        };
        match call {
            ActivityCall::Find | ActivityCall::FindMany => {
                return Outcome::Value(*last);
            }
            ActivityCall::Send(_) => {
                let seq = last.log + 1;
                *last = LastSeqs {
                    log: seq,
                    message: seq,
                    user: seq,
                };
            }
            ActivityCall::Note(_) => {
                let seq = last.log + 1;
                (last.log, last.message) = (seq, seq);
            }
            ActivityCall::Clear => (last.log, last.message) = (last.log + 1, 0),
            ActivityCall::DeleteRoom => self.0 = None,
        }
        Outcome::Done
    }

    fn is_read(call: &ActivityCall) -> bool {
        matches!(call, ActivityCall::Find | ActivityCall::FindMany)
    }
}

impl KeyModel for ActivityModel {
    type Key = RoomId;

    async fn create(world: &HistoryWorld) -> (RoomId, Self) {
        (world.create_room().await, Self(Some(LastSeqs::default())))
    }

    fn draw(_: &RoomId, random: &Random, fresh: u32) -> ActivityCall {
        match random.below(100) {
            0..2 => ActivityCall::DeleteRoom,
            2..7 => ActivityCall::Clear,
            7..17 => ActivityCall::Note(fresh),
            17..42 => ActivityCall::Send(fresh),
            42..55 => ActivityCall::FindMany,
            _ => ActivityCall::Find,
        }
    }

    async fn run(r: &Repositories, room: &RoomId, call: ActivityCall) -> Result<Self::Outcome> {
        let shown = |activity: Arc<Activity>| LastSeqs {
            log: activity.last_seq.0,
            message: activity.last_message_seq.0,
            user: activity.last_user_seq.0,
        };
        match call {
            ActivityCall::Send(number) => done(
                r.messages
                    .append(NewMessage::from_user(*room, number.to_string()))
                    .await,
            ),
            ActivityCall::Note(number) => done(
                r.messages
                    .append(NewMessage::from_system(*room, number.to_string()))
                    .await,
            ),
            ActivityCall::Clear => done(r.messages.clear(*room).await),
            ActivityCall::DeleteRoom => done(r.rooms.delete(*room).await),
            ActivityCall::Find => Ok(found(r.rooms.activity(*room).await?.map(shown))),
            ActivityCall::FindMany => Ok(found(
                r.rooms
                    .activities(&[*room])
                    .await?
                    .pop()
                    .map(|(_, activity)| shown(activity)),
            )),
        }
    }

    fn invalidate(cache: &Cache, room: &RoomId) {
        cache.invalidate_room(*room);
    }
}
