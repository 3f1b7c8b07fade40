//! The room that the benchmarks of writes create.

use domain::{NewRoom, RoomName, UserId};

/// Returns the data of a new room.
pub(super) fn new_room(number: usize) -> NewRoom {
    NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse(&format!("room {number}")).expect("the room's name is valid"),
        max_interactions: None,
    }
}
