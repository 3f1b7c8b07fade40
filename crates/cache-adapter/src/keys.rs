//! The key types of the regions: their printed forms, and the room or agent that each belongs to.

use std::{fmt, str::FromStr};

use cache_core::Key;
use domain::{AgentId, MessageId, RoomId, UserId};

/// A key type of a region.
///
/// Each key type says which of its keys belong to a room or to an agent.
/// [`Cache::invalidate_room`](crate::Cache::invalidate_room) and
/// [`Cache::invalidate_agent`](crate::Cache::invalidate_agent) remove these keys from every region,
/// so they need no change when a region is added.
pub(crate) trait RegionKey: Key + fmt::Display + FromStr {
    /// The form of a printed key, such as `user_id/room_id`, for the table of regions.
    const FORM: &'static str;

    /// Returns the keys that belong to `room`.
    fn of_room(room: RoomId) -> Selection<Self>;

    /// Returns the keys that belong to `agent`.
    fn of_agent(agent: AgentId) -> Selection<Self>;
}

/// A set of keys of one region.
pub(crate) enum Selection<K> {
    Nothing,
    Key(K),
    /// The keys for which a function returns `true`.
    Where {
        /// A glob that matches the printed forms of these keys, for tables.
        glob: String,
        covers: Box<dyn Fn(&K) -> bool + Send + Sync>,
    },
}

/// The key of a region that holds a single list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListKey;

/// The key of one user's read position in a room, printed `user/room`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadKey {
    pub(crate) user: UserId,
    pub(crate) room: RoomId,
}

/// The key of a message's image, printed `room/message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ImageKey {
    pub(crate) room: RoomId,
    pub(crate) message: MessageId,
}

/// The key of what an agent remembers of an owner's rooms, printed `owner/agent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemoryKey {
    pub(crate) owner: UserId,
    pub(crate) agent: AgentId,
}

impl RegionKey for AgentId {
    const FORM: &'static str = "agent_id";

    fn of_room(_: RoomId) -> Selection<Self> {
        Selection::Nothing
    }

    fn of_agent(agent: AgentId) -> Selection<Self> {
        Selection::Key(agent)
    }
}

impl RegionKey for RoomId {
    const FORM: &'static str = "room_id";

    fn of_room(room: RoomId) -> Selection<Self> {
        Selection::Key(room)
    }

    fn of_agent(_: AgentId) -> Selection<Self> {
        Selection::Nothing
    }
}

impl RegionKey for UserId {
    const FORM: &'static str = "user_id";

    fn of_room(_: RoomId) -> Selection<Self> {
        Selection::Nothing
    }

    fn of_agent(_: AgentId) -> Selection<Self> {
        Selection::Nothing
    }
}

impl RegionKey for ListKey {
    const FORM: &'static str = "all";

    fn of_room(_: RoomId) -> Selection<Self> {
        Selection::Nothing
    }

    fn of_agent(_: AgentId) -> Selection<Self> {
        Selection::Nothing
    }
}

impl RegionKey for ReadKey {
    const FORM: &'static str = "user_id/room_id";

    fn of_room(room: RoomId) -> Selection<Self> {
        Selection::Where {
            glob: format!("*/{room}"),
            covers: Box::new(move |key: &Self| key.room == room),
        }
    }

    fn of_agent(_: AgentId) -> Selection<Self> {
        Selection::Nothing
    }
}

impl RegionKey for ImageKey {
    const FORM: &'static str = "room_id/message_id";

    fn of_room(room: RoomId) -> Selection<Self> {
        Selection::Where {
            glob: format!("{room}/*"),
            covers: Box::new(move |key: &Self| key.room == room),
        }
    }

    fn of_agent(_: AgentId) -> Selection<Self> {
        Selection::Nothing
    }
}

impl RegionKey for MemoryKey {
    const FORM: &'static str = "user_id/agent_id";

    fn of_room(_: RoomId) -> Selection<Self> {
        Selection::Nothing
    }

    fn of_agent(agent: AgentId) -> Selection<Self> {
        Selection::Where {
            glob: format!("*/{agent}"),
            covers: Box::new(move |key: &Self| key.agent == agent),
        }
    }
}

impl MemoryKey {
    /// Returns the keys of what all agents remember of an owner's rooms.
    pub(crate) fn of_owner(owner: UserId) -> Selection<Self> {
        Selection::Where {
            glob: format!("{owner}/*"),
            covers: Box::new(move |key: &Self| key.owner == owner),
        }
    }
}

impl fmt::Display for ListKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::FORM)
    }
}

impl FromStr for ListKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        (text == Self::FORM).then_some(Self).ok_or(())
    }
}

impl fmt::Display for ReadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.room)
    }
}

impl FromStr for ReadKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (user, room) = parse_pair(text)?;
        Ok(Self { user, room })
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.room, self.message)
    }
}

impl FromStr for ImageKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (room, message) = parse_pair(text)?;
        Ok(Self { room, message })
    }
}

impl fmt::Display for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.agent)
    }
}

impl FromStr for MemoryKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (owner, agent) = parse_pair(text)?;
        Ok(Self { owner, agent })
    }
}

/// Parses `first/second`. Splits at the last slash, because a user id may hold slashes and the
/// second part never does.
fn parse_pair<A: FromStr, B: FromStr>(text: &str) -> Result<(A, B), ()> {
    let (first, second) = text.rsplit_once('/').ok_or(())?;
    Ok((first.parse().map_err(drop)?, second.parse().map_err(drop)?))
}

/// Returns `true` if `keys` are strictly ascending, which is the order in which ports return rows.
pub(crate) fn is_distinct<T: Ord>(keys: &[T]) -> bool {
    keys.is_sorted_by(|one, next| one < next)
}

/// Returns `keys` in ascending order, without duplicates.
pub(crate) fn distinct<T: Ord + Clone>(keys: &[T]) -> Vec<T> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_round_trip<K: RegionKey + PartialEq + fmt::Debug>(key: &K, printed: &str) {
        assert_eq!(key.to_string(), printed);
        assert_eq!(printed.parse().ok().as_ref(), Some(key));
    }

    #[test]
    fn a_printed_key_parses_to_itself() {
        let (room, message) = (RoomId(7), MessageId(9));
        let user = UserId::parse("guest-1").unwrap();
        assert_round_trip(&ListKey, "all");
        assert_round_trip(&ReadKey { user, room }, "guest-1/7");
        assert_round_trip(&ImageKey { room, message }, "7/9");
        let (owner, agent) = (UserId::parse("guest-1").unwrap(), AgentId(3));
        assert_round_trip(&MemoryKey { owner, agent }, "guest-1/3");
        assert!("7".parse::<ImageKey>().is_err());
        assert!("7/x".parse::<ImageKey>().is_err());
    }
}
