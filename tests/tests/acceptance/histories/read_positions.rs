//! The model of a user's read position in a room.

use std::sync::Arc;

use cache_adapter::Cache;
use domain::{NewMessage, ReadPosition, Repositories, Result, RoomId, UserId};
use tests::{linearizability::SequentialModel, random::Random};

use super::model::{HistoryWorld, KeyModel, Outcome, done, found, value};

/// The state of a user's read position in the model; `None` once the room is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadPositionModel(Option<ReadState>);

/// The room's last sequence number, and the user's mark if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadState {
    last: i64,
    mark: Option<ReadMark>,
}

/// The sequence number up to which a user has read, and the version of the stored row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadMark {
    seq: i64,
    version: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum ReadPositionCall {
    Send(u32),
    Mark,
    DeleteRoom,
    Find,
    FindMany,
}

impl SequentialModel for ReadPositionModel {
    type Call = ReadPositionCall;
    type Outcome = Outcome<ReadMark>;

    fn apply(&mut self, call: &ReadPositionCall) -> Self::Outcome {
        match (call, &mut self.0) {
            (_, None) => Outcome::Missing,
            (ReadPositionCall::Send(_), Some(state)) => {
                state.last += 1;
                Outcome::Done
            }
            (ReadPositionCall::Mark, Some(state)) => {
                let mark = ReadMark {
                    seq: state.last,
                    version: state.mark.map_or(1, |mark| mark.version + 1),
                };
                state.mark = Some(mark);
                Outcome::Value(mark)
            }
            (ReadPositionCall::DeleteRoom, Some(_)) => {
                self.0 = None;
                Outcome::Done
            }
            (ReadPositionCall::Find | ReadPositionCall::FindMany, Some(state)) => found(state.mark),
        }
    }

    fn is_read(call: &ReadPositionCall) -> bool {
        matches!(call, ReadPositionCall::Find | ReadPositionCall::FindMany)
    }
}

impl KeyModel for ReadPositionModel {
    type Key = (UserId, RoomId);

    async fn create(world: &HistoryWorld) -> (Self::Key, Self) {
        let key = (HistoryWorld::new_user(), world.create_room().await);
        let new = ReadState {
            last: 0,
            mark: None,
        };
        (key, Self(Some(new)))
    }

    fn draw(_: &Self::Key, random: &Random, fresh: u32) -> ReadPositionCall {
        match random.below(100) {
            0..3 => ReadPositionCall::DeleteRoom,
            3..20 => ReadPositionCall::Send(fresh),
            20..45 => ReadPositionCall::Mark,
            45..60 => ReadPositionCall::FindMany,
            _ => ReadPositionCall::Find,
        }
    }

    async fn run(
        r: &Repositories,
        (user, room): &Self::Key,
        call: ReadPositionCall,
    ) -> Result<Self::Outcome> {
        let shown = |position: Arc<ReadPosition>| ReadMark {
            seq: position.read_seq.0,
            version: position.version,
        };
        match call {
            ReadPositionCall::Send(number) => done(
                r.messages
                    .append(NewMessage::from_user(*room, number.to_string()))
                    .await,
            ),
            ReadPositionCall::Mark => {
                value(r.read_positions.mark(user.clone(), *room).await.map(shown))
            }
            ReadPositionCall::DeleteRoom => done(r.rooms.delete(*room).await),
            ReadPositionCall::Find => {
                Ok(found(r.read_positions.find(user, *room).await?.map(shown)))
            }
            ReadPositionCall::FindMany => Ok(found(
                r.read_positions
                    .find_many(user, &[*room])
                    .await?
                    .pop()
                    .map(shown),
            )),
        }
    }

    fn invalidate(cache: &Cache, (_, room): &Self::Key) {
        cache.invalidate_room(*room);
    }
}
