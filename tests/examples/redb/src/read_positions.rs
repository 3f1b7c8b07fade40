//! The port `ReadPositions`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;
use domain::{ReadPosition, ReadPositions, Result, RoomId, UserId};

use crate::{rooms::require_activity, store::RedbStore, tables::READ_POSITIONS};

#[async_trait]
impl ReadPositions for RedbStore {
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>> {
        let user = user.clone();
        self.read(move |tx| {
            let position = READ_POSITIONS.get(tx, (room.0, user.as_str()))?;
            Ok(position.map(Arc::new))
        })
        .await
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        let user = user.clone();
        let rooms: BTreeSet<RoomId> = rooms.iter().copied().collect();
        self.read(move |tx| {
            let keys = rooms.iter().map(|room| (room.0, user.as_str()));
            let found = READ_POSITIONS.get_many(tx, keys)?.into_iter();
            Ok(found.map(|(_, position)| Arc::new(position)).collect())
        })
        .await
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        self.write(move |tx| {
            let activity = require_activity(tx, room)?;
            let key = (room.0, user.as_str());
            let version = READ_POSITIONS.get(tx, key)?.map_or(0, |last| last.version) + 1;
            let position = ReadPosition {
                room,
                read_seq: activity.last_seq,
                read_at: Utc::now(),
                version,
            };
            READ_POSITIONS.insert(tx, key, &position)?;
            Ok(Arc::new(position))
        })
        .await
    }
}
