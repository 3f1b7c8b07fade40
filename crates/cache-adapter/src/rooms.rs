//! Rooms, membership, read positions and sessions behind the cache.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::TailRead;
use domain::{
    Activity, Added, AgentId, Error, Health, Member, NewRoom, ReadPosition, ReadPositions,
    Repositories, Result, Room, RoomChange, RoomId, Rooms, Session, Sessions, Settle, UserId,
};
use futures_util::future::BoxFuture;

use crate::{
    cache::{All, Cached, Pair, ReadKey},
    hit_first::hit_first,
    joined,
    stale::Write,
    tail::{Lately, place},
};

impl Cached {
    async fn rooms(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        let load = |inner: Repositories, ids: Vec<RoomId>| async move {
            Ok(inner
                .rooms
                .find_many(&ids)
                .await?
                .into_iter()
                .map(|room| (room.id, room))
                .collect())
        };
        // What was deleted since the list was read is dropped here.
        Ok(self
            .read_many(&self.core.regions.room_obj, ids, load)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }
}

impl Cached {
    async fn activities_past(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        let found = self.past(self.core.inner.rooms.activities(rooms)).await?;
        for (room, activity) in &found {
            self.core
                .regions
                .room_activity
                .saw(room, place(activity.last_seq));
        }
        Ok(found)
    }
}

fn lately(activity: Arc<Activity>) -> (u64, Lately) {
    (place(activity.last_seq), Lately(activity))
}

fn ids(rooms: &[Arc<Room>]) -> Arc<[RoomId]> {
    rooms.iter().map(|room| room.id).collect()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Rooms for Cached {
    fn find<'life0, 'async_trait>(
        &'life0 self,
        id: RoomId,
    ) -> BoxFuture<'async_trait, Result<Option<Arc<Room>>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, id),
            |(of, id)| of.hit(&of.core.regions.room_obj, id).map(Ok),
            |(of, id)| {
                of.read(
                    &of.core.regions.room_obj,
                    id,
                    move |inner: Repositories| async move { inner.rooms.find(id).await },
                )
            },
        )
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        if self.bypass {
            return self.past(self.core.inner.rooms.find_many(ids)).await;
        }
        self.rooms(&joined::distinct(ids)).await
    }

    async fn list(&self) -> Result<Vec<Arc<Room>>> {
        if self.bypass {
            return self.past(self.core.inner.rooms.list()).await;
        }
        let load = |inner: Repositories| async move { Ok(Some(ids(&inner.rooms.list().await?))) };
        let ids = self
            .read(&self.core.regions.room_list, All, load)
            .await?
            .unwrap_or_default();
        self.rooms(&ids).await
    }

    async fn list_by_owner(&self, owner: &UserId) -> Result<Vec<Arc<Room>>> {
        if self.bypass {
            return self.past(self.core.inner.rooms.list_by_owner(owner)).await;
        }
        let of = owner.clone();
        let load = move |inner: Repositories| async move {
            Ok(Some(ids(&inner.rooms.list_by_owner(&of).await?)))
        };
        let ids = self
            .read(&self.core.regions.rooms_of, owner.clone(), load)
            .await?
            .unwrap_or_default();
        self.rooms(&ids).await
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        self.past(self.core.inner.rooms.find_direct(owner, agent))
            .await
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        let write = Write::CreateRoom(new.owner.clone());
        self.write(
            write,
            |inner| async move { inner.rooms.create(new).await },
            |_, _, _| {},
        )
        .await
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        let write = Write::CreateDirectRoom(owner.clone());
        self.write(
            write,
            move |inner| async move { inner.rooms.create_direct(owner, agent).await },
            |_, _, _| {},
        )
        .await
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        let run = move |inner: Repositories| async move { inner.rooms.update(id, change).await };
        self.write(Write::UpdateRoom(id), run, move |room, of, stores| {
            stores.put(&of.room_obj, id, room.clone());
        })
        .await
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        self.write(
            Write::DeleteRoom(id),
            move |inner| async move { inner.rooms.delete(id).await },
            |(), _, _| {},
        )
        .await
    }

    fn members<'life0, 'async_trait>(
        &'life0 self,
        room: RoomId,
    ) -> BoxFuture<'async_trait, Result<Arc<[Member]>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, room),
            |(of, room)| {
                of.hit(&of.core.regions.room_agents, room)
                    .map(|found| Ok(found.unwrap_or_default()))
            },
            |(of, room)| async move {
                // An empty list is an absence: a room of that id may yet be made, with a member in it.
                let load =
                    move |inner: Repositories| async move {
                        Ok(Some(inner.rooms.members(room).await?)
                            .filter(|members| !members.is_empty()))
                    };
                Ok(of
                    .read(&of.core.regions.room_agents, room, load)
                    .await?
                    .unwrap_or_default())
            },
        )
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        let run =
            move |inner: Repositories| async move { inner.rooms.add_member(room, agent).await };
        self.write(Write::AddMember(room), run, |added, of, stores| {
            added
                .message
                .iter()
                .for_each(|message| of.appended(message, stores));
        })
        .await
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        let run =
            move |inner: Repositories| async move { inner.rooms.remove_member(room, agent).await };
        self.write(Write::RemoveMember(room), run, |(), _, _| {})
            .await
    }

    fn activity<'life0, 'async_trait>(
        &'life0 self,
        room: RoomId,
    ) -> BoxFuture<'async_trait, Result<Option<Arc<Activity>>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, room),
            |(of, room)| {
                of.hit_tail(&of.core.regions.room_activity, *room, |lately| {
                    Some(lately.0.clone())
                })
                .map(Ok)
            },
            |(of, room)| async move {
                let load = move |inner: Repositories| async move {
                    Ok(inner.rooms.activity(room).await?.map(lately))
                };
                match of
                    .read_tail(&of.core.regions.room_activity, room, load, |lately| {
                        Some(lately.0.clone())
                    })
                    .await?
                {
                    TailRead::Found(found) => Ok(found.value),
                    TailRead::Absent(_) => Ok(None),
                    TailRead::Elsewhere => Ok(of
                        .activities_past(&[room])
                        .await?
                        .pop()
                        .map(|(_, activity)| activity)),
                }
            },
        )
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        if self.bypass {
            return self.activities_past(rooms).await;
        }
        let rooms = joined::distinct(rooms);
        let load = |inner: Repositories, rooms: Vec<RoomId>| async move {
            let found = inner.rooms.activities(&rooms).await?.into_iter();
            Ok(found
                .map(|(room, activity)| (room, lately(activity)))
                .map(|(room, (head, lately))| (room, head, lately))
                .collect())
        };
        let reads = self
            .read_tails(&self.core.regions.room_activity, &rooms, load, |lately| {
                Some(lately.0.clone())
            })
            .await?;
        let (mut found, mut elsewhere) = (Vec::with_capacity(rooms.len()), Vec::new());
        for (room, read) in rooms.into_iter().zip(reads) {
            match read {
                TailRead::Found(read) => found.extend(read.value.map(|activity| (room, activity))),
                TailRead::Absent(_) => {}
                TailRead::Elsewhere => elsewhere.push(room),
            }
        }
        if !elsewhere.is_empty() {
            found.extend(self.activities_past(&elsewhere).await?);
            found.sort_unstable_by_key(|(room, _)| *room);
        }
        Ok(found)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadPositions for Cached {
    fn find<'life0, 'life1, 'async_trait>(
        &'life0 self,
        user: &'life1 UserId,
        room: RoomId,
    ) -> BoxFuture<'async_trait, Result<Option<Arc<ReadPosition>>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, Pair(user.clone(), room)),
            |(of, key)| {
                of.hit(&of.core.regions.read_state, key)
                    .map(|found| Ok(found.flatten()))
            },
            |(of, key)| async move {
                let Pair(user, room) = key.clone();
                let load = move |inner: Repositories| async move {
                    Ok(Some(inner.read_positions.find(&user, room).await?))
                };
                Ok(of
                    .read(&of.core.regions.read_state, key, load)
                    .await?
                    .flatten())
            },
        )
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        if self.bypass {
            return self
                .past(self.core.inner.read_positions.find_many(user, rooms))
                .await;
        }
        let keys: Vec<_> = joined::distinct(rooms)
            .into_iter()
            .map(|room| Pair(user.clone(), room))
            .collect();
        let user = user.clone();
        let load = move |inner: Repositories, keys: Vec<ReadKey>| async move {
            let rooms: Vec<_> = keys.iter().map(|key| key.1).collect();
            let found = inner.read_positions.find_many(&user, &rooms).await?;
            let position = |room| found.iter().find(|position| position.room == room).cloned();
            Ok(keys
                .into_iter()
                .map(|key| (key.clone(), position(key.1)))
                .collect())
        };
        Ok(self
            .read_many(&self.core.regions.read_state, &keys, load)
            .await?
            .into_iter()
            .flatten()
            .flatten()
            .collect())
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let key = Pair(user.clone(), room);
        let write = Write::MarkRead(user.clone(), room);
        let run =
            move |inner: Repositories| async move { inner.read_positions.mark(user, room).await };
        self.write(write, run, |position, of, stores| {
            stores.put(&of.read_state, key, Some(position.clone()));
        })
        .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sessions for Cached {
    fn list<'life0, 'async_trait>(
        &'life0 self,
        room: RoomId,
    ) -> BoxFuture<'async_trait, Result<Arc<[Session]>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, room),
            |(of, room)| {
                of.hit(&of.core.regions.room_sessions, room)
                    .map(|found| Ok(found.unwrap_or_default()))
            },
            |(of, room)| async move {
                let load = move |inner: Repositories| async move {
                    inner.sessions.list(room).await.map(Some)
                };
                Ok(of
                    .read(&of.core.regions.room_sessions, room, load)
                    .await?
                    .unwrap_or_default())
            },
        )
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        let run = move |inner: Repositories| async move {
            inner.sessions.save(room, agent, session_id).await
        };
        self.write(Write::SaveSession(room), run, |(), _, _| {})
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for Cached {
    async fn settle(&self) -> Result<()> {
        // A write that lost its caller goes on in its own task: the store may not know of it yet.
        self.core.manager.settle().await.map_err(Error::unavailable)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Health for Cached {
    async fn check(&self) -> Result<()> {
        self.core.inner.health.check().await
    }
}
