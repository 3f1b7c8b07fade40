//! The model of the members of a room.

use std::sync::Arc;

use cache_adapter::Cache;
use domain::{AgentId, Repositories, Result, RoomId};
use tests::{linearizability::SequentialModel, random::Random};

use super::model::{HistoryWorld, KeyModel, Outcome, done};

/// The members of a room in the model, as indices into [`HistoryWorld::joiners`]; `None` once the
/// room is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MembersModel(Option<Vec<usize>>);

#[derive(Clone, Debug)]
pub(crate) enum MembershipCall {
    Add(usize),
    Remove(usize),
    DeleteRoom,
    List,
}

impl SequentialModel for MembersModel {
    type Call = MembershipCall;
    type Outcome = Outcome<Vec<usize>>;

    fn apply(&mut self, call: &MembershipCall) -> Self::Outcome {
        match (call, &mut self.0) {
            (MembershipCall::List, members) => Outcome::Value(members.clone().unwrap_or_default()),
            (_, None) => Outcome::Missing,
            (MembershipCall::Add(joiner), Some(members)) => {
                if !members.contains(joiner) {
                    members.push(*joiner);
                }
                Outcome::Done
            }
            (MembershipCall::Remove(joiner), Some(members)) => {
                match members.iter().position(|member| member == joiner) {
                    Some(index) => {
                        members.remove(index);
                        Outcome::Done
                    }
                    None => Outcome::Missing,
                }
            }
            (MembershipCall::DeleteRoom, Some(_)) => {
                self.0 = None;
                Outcome::Done
            }
        }
    }

    fn is_read(call: &MembershipCall) -> bool {
        matches!(call, MembershipCall::List)
    }
}

impl KeyModel for MembersModel {
    type Key = (RoomId, Arc<[AgentId]>);

    async fn create(world: &HistoryWorld) -> (Self::Key, Self) {
        (
            (world.create_room().await, world.joiners.clone().into()),
            Self(Some(Vec::new())),
        )
    }

    fn draw((_, joiners): &Self::Key, random: &Random, _: u32) -> MembershipCall {
        match random.below(100) {
            0..3 => MembershipCall::DeleteRoom,
            3..30 => MembershipCall::Add(random.below(joiners.len())),
            30..45 => MembershipCall::Remove(random.below(joiners.len())),
            _ => MembershipCall::List,
        }
    }

    async fn run(
        r: &Repositories,
        (room, joiners): &Self::Key,
        call: MembershipCall,
    ) -> Result<Self::Outcome> {
        match call {
            MembershipCall::Add(joiner) => done(r.rooms.add_member(*room, joiners[joiner]).await),
            MembershipCall::Remove(joiner) => {
                done(r.rooms.remove_member(*room, joiners[joiner]).await)
            }
            MembershipCall::DeleteRoom => done(r.rooms.delete(*room).await),
            MembershipCall::List => {
                let index = |agent| {
                    let index = joiners.iter().position(|joiner| *joiner == agent);
                    index.expect("only joiners join")
                };
                Ok(Outcome::Value(
                    r.rooms
                        .members(*room)
                        .await?
                        .iter()
                        .map(|member| index(member.agent))
                        .collect(),
                ))
            }
        }
    }

    fn invalidate(cache: &Cache, (room, _): &Self::Key) {
        cache.invalidate_room(*room);
    }
}
