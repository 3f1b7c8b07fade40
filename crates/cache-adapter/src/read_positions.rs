//! The cached implementation of the port `ReadPositions`.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use domain::{ReadPosition, ReadPositions, Repositories, Result, RoomId, UserId};

use crate::{
    guard::Returned,
    hit_first::hit_first,
    keys::{ReadKey, distinct},
    ports::CachedPorts,
    reads::will_return,
    stale::Write,
};

impl ReadKey {
    fn new(user: &UserId, room: RoomId) -> Self {
        let user = user.clone();
        Self { user, room }
    }
}

impl CachedPorts {
    async fn load_position(
        &self,
        user: &UserId,
        room: RoomId,
    ) -> Result<Option<Arc<ReadPosition>>> {
        let key = ReadKey::new(user, room);
        let user = user.clone();
        let load = move |bare: Repositories| async move {
            Ok(Some(bare.read_positions.find(&user, room).await?))
        };
        let found = self.load(&self.regions().read_state, key, load).await?;
        Ok(found.flatten())
    }
}

/// Loads a batch of positions. Readers may share it, so it may have keys of several users.
async fn load_positions(
    bare: Repositories,
    keys: Vec<ReadKey>,
) -> Result<Vec<(ReadKey, Option<Arc<ReadPosition>>)>> {
    let mut rooms_of: BTreeMap<UserId, Vec<RoomId>> = BTreeMap::new();
    for ReadKey { user, room } in keys {
        rooms_of.entry(user).or_default().push(room);
    }
    let mut loaded = Vec::new();
    for (user, rooms) in rooms_of {
        let found = bare.read_positions.find_many(&user, &rooms).await?;
        let position = |room| found.iter().find(|position| position.room == room).cloned();
        let rows = rooms.into_iter();
        loaded.extend(rows.map(|room| (ReadKey::new(&user, room), position(room))));
    }
    Ok(loaded)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadPositions for CachedPorts {
    hit_first! {
        fn find(ports, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>>;
        hit: ports
            .hit(&ports.regions().read_state, &ReadKey::new(user, room))
            .map(|found| Ok(found.flatten())),
        miss: ports.load_position(user, room),
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        if self.is_bypassing() {
            let found = self.bare().read_positions.find_many(user, rooms);
            let found = self.bypass(found).await?;
            let keys = rooms.iter().map(|room| ReadKey::new(user, *room));
            will_return(&self.regions().read_state, keys);
            return Ok(found);
        }
        let keys: Vec<_> = distinct(rooms)
            .into_iter()
            .map(|room| ReadKey::new(user, room))
            .collect();
        let found = self
            .read_many(&self.regions().read_state, &keys, load_positions)
            .await?;
        Ok(found.into_iter().flatten().flatten().collect())
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let write = Write::MarkRead(user.clone(), room);
        let run =
            move |bare: Repositories| async move { bare.read_positions.mark(user, room).await };
        self.write_returning(write, run, |position: &Arc<ReadPosition>| Returned {
            position: Some(position.clone()),
            ..Returned::default()
        })
        .await
    }
}
