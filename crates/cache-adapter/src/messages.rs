//! Messages behind the cache: the newest of each room in memory, older ones from the store.

use std::{ops::Deref, sync::Arc};

use async_trait::async_trait;
use cache_core::TailRead;
use domain::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    Repositories, Result, RoomId, Rooms,
};
use futures_util::future::BoxFuture;

use crate::{
    cache::{Cached, ImageKey, Pair},
    hit_first::hit_first,
    joined,
    stale::Write,
    tail::{FILL, Newest, Tally, last_place, place},
};

impl Cached {
    /// What `read` makes of the room's newest messages, if they answer it.
    async fn newest<T>(
        &self,
        room: RoomId,
        read: impl Fn(&Newest) -> Option<T>,
    ) -> Result<TailRead<T>> {
        let limits = self.core.tail;
        let load = move |inner: Repositories| async move {
            Ok(inner
                .messages
                .end(room, FILL)
                .await?
                .map(|end| Newest::new(limits, end)))
        };
        self.read_tail(&self.core.regions.room_messages, room, load, read)
            .await
    }

    /// The messages that `read` makes of the newest, or that `store` reads.
    async fn log<T, Fut>(
        &self,
        room: RoomId,
        read: impl Fn(&Newest) -> Option<T>,
        store: impl FnOnce(Repositories) -> Fut,
    ) -> Result<T>
    where
        T: Default + Deref<Target = [Arc<Message>]>,
        Fut: Future<Output = Result<T>>,
    {
        match self.newest(room, read).await? {
            TailRead::Found(found) => Ok(found.value.unwrap_or_default()),
            TailRead::Absent(_) => Ok(T::default()),
            TailRead::Elsewhere => {
                let messages = self.past(store(self.core.inner.clone())).await?;
                self.core
                    .regions
                    .room_messages
                    .saw(&room, last_place(&messages));
                Ok(messages)
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Messages for Cached {
    fn recent<'life0, 'async_trait>(
        &'life0 self,
        room: RoomId,
        before: Option<MessageId>,
        limit: usize,
    ) -> BoxFuture<'async_trait, Result<Page>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, room, before, limit),
            |&(of, room, before, limit)| {
                let read = |newest: &Newest| newest.recent(before, limit);
                of.hit_tail(&of.core.regions.room_messages, room, read)
                    .map(|found| Ok(found.unwrap_or_default()))
            },
            |(of, room, before, limit)| {
                let store = move |inner: Repositories| async move {
                    inner.messages.recent(room, before, limit).await
                };
                of.log(room, move |newest| newest.recent(before, limit), store)
            },
        )
    }

    fn since<'life0, 'async_trait>(
        &'life0 self,
        room: RoomId,
        after: MessageId,
        limit: usize,
    ) -> BoxFuture<'async_trait, Result<Page>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, room, after, limit),
            |&(of, room, after, limit)| {
                let read = |newest: &Newest| newest.since(after, limit);
                of.hit_tail(&of.core.regions.room_messages, room, read)
                    .map(|found| Ok(found.unwrap_or_default()))
            },
            |(of, room, after, limit)| {
                let store = move |inner: Repositories| async move {
                    inner.messages.since(room, after, limit).await
                };
                of.log(room, move |newest| newest.since(after, limit), store)
            },
        )
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let messages = self
            .past(
                self.core
                    .inner
                    .messages
                    .by_authors(room, authors, after, limit),
            )
            .await?;
        self.core
            .regions
            .room_messages
            .saw(&room, last_place(&messages));
        Ok(messages)
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let store = |inner: Repositories| async move {
            inner.messages.since_answer(room, agent, limit).await
        };
        if self.bypass {
            return self.log(room, |_| None, store).await;
        }
        let members = self.members(room).await?;
        let Some(member) = members.iter().find(|member| member.agent == agent) else {
            return Ok(Vec::new());
        };
        self.log(
            room,
            |newest| newest.since_answer(agent, member.joined_after_seq, limit),
            store,
        )
        .await
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let region = &self.core.regions.room_answers;
        let load = move |inner: Repositories| async move {
            Ok(inner
                .messages
                .answer_counts(room)
                .await?
                .map(|answers| (place(answers.last_seq), Tally(answers))))
        };
        match self
            .read_tail(region, room, load, |tally| Some(tally.0.clone()))
            .await?
        {
            TailRead::Found(found) => Ok(found.value),
            TailRead::Absent(_) => Ok(None),
            TailRead::Elsewhere => {
                let answers = self
                    .past(self.core.inner.messages.answer_counts(room))
                    .await?;
                region.saw(
                    &room,
                    answers
                        .as_ref()
                        .map_or(0, |answers| place(answers.last_seq)),
                );
                Ok(answers)
            }
        }
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let end = self.past(self.core.inner.messages.end(room, limit)).await?;
        self.core
            .regions
            .room_messages
            .saw(&room, end.as_ref().map_or(0, |end| place(end.last_seq)));
        Ok(end)
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        if self.bypass {
            return self
                .past(self.core.inner.messages.images(room, messages))
                .await;
        }
        let keys: Vec<_> = joined::distinct(messages)
            .into_iter()
            .map(|message| Pair(room, message))
            .collect();
        let load = move |inner: Repositories, keys: Vec<ImageKey>| async move {
            let messages: Vec<_> = keys.iter().map(|key| key.1).collect();
            let found = inner.messages.images(room, &messages).await?;
            Ok(found
                .into_iter()
                .map(|(message, image)| (Pair(room, message), image))
                .collect())
        };
        let found = self
            .read_many(&self.core.regions.message_image, &keys, load)
            .await?;
        Ok(keys
            .into_iter()
            .zip(found)
            .filter_map(|(key, image)| Some((key.1, image?)))
            .collect())
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        let write = Write::AppendMessage(new.room);
        let run = |inner: Repositories| async move { inner.messages.append(new).await };
        self.write(write, run, |message, of, stores| {
            of.appended(message, stores);
        })
        .await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        self.write(
            Write::ClearMessages(room),
            move |inner| async move { inner.messages.clear(room).await },
            |_, _, _| {},
        )
        .await
    }
}
