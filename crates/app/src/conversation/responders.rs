//! The responder of each room.

use std::{collections::BTreeMap, fmt, sync::Arc};

use domain::{Responder, RoomId};

use crate::settings::Price;

/// The responders that compose the agents' answers, room by room.
///
/// Without a responder, the agents of a room keep silent.
#[derive(Clone, Default)]
pub struct Responders {
    /// The responder of all rooms that are not in `by_room`.
    pub default: Option<Arc<dyn Responder>>,
    /// The responders of single rooms, instead of `default`. `None` keeps the room's agents silent.
    pub by_room: BTreeMap<RoomId, Option<Arc<dyn Responder>>>,
    /// The prices of models, by [`Responder::model`].
    pub prices: BTreeMap<String, Price>,
}

impl Responders {
    /// Returns the responder of this room; `None` if the room's agents keep silent.
    pub(crate) fn for_room(&self, room: RoomId) -> Option<Arc<dyn Responder>> {
        self.by_room.get(&room).unwrap_or(&self.default).clone()
    }

    /// Returns `true` if agents keep silent in all rooms.
    pub(super) fn is_empty(&self) -> bool {
        self.default.is_none() && self.by_room.values().all(Option::is_none)
    }
}

impl fmt::Debug for Responders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responders").finish_non_exhaustive()
    }
}
