//! The fronts of what polls read.

use std::sync::Arc;

use cache_core::{Front, TailFront};
use domain::{MessageId, Room, RoomId, Seq};

use crate::{log_copies::ActivityCopy, newest::NewestMessages, regions::Regions};

/// The fronts of what polls read.
pub(crate) struct Glances {
    pub(crate) rooms: Front<RoomId, Arc<Room>, Arc<Room>>,
    /// The id after which a room has no message.
    pub(crate) ends: TailFront<RoomId, NewestMessages, MessageId>,
    pub(crate) log_versions: TailFront<RoomId, ActivityCopy, Option<Seq>>,
}

impl Glances {
    pub(crate) fn new(regions: &Regions) -> Self {
        Self {
            rooms: regions.room_obj.front(Some),
            ends: regions.room_messages.front(|newest| Some(newest.end())),
            log_versions: regions
                .room_activity
                .front(|copy| Some(copy.0.log_version())),
        }
    }
}
