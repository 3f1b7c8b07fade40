//! The cached implementation of the port `Messages`. Each room's newest messages are served from
//! memory, older ones from the store.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use async_trait::async_trait;
use cache_core::TailRead;
use domain::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page, Removal,
    Repositories, Result, RoomId, Rooms, Sent, Seq, UserId,
};

use crate::{
    guard::Returned,
    hit_first::hit_first,
    keys::{ImageKey, distinct},
    log_copies::{AnswerCountsCopy, last_log_seq, log_seq},
    log_reads::saw_end,
    newest::{FILL, NewestMessages, TailLimits},
    ports::CachedPorts,
    reads::will_return,
    stale::Write,
};

/// Reads a room's newest messages from the store, to fill the cached copy. Returns `None` if the
/// room does not exist.
async fn fill_newest(
    bare: Repositories,
    room: RoomId,
    limits: TailLimits,
) -> Result<Option<(u64, NewestMessages)>> {
    let end = bare.messages.end(room, FILL).await?;
    Ok(end.map(|end| NewestMessages::new(limits, end)))
}

impl CachedPorts {
    /// Returns a page after a miss. Fills the room's copy and reads the page from the copy with
    /// `read`. If the copy cannot serve the page, reads it from the store with `bypass`.
    async fn load_page<Fut>(
        &self,
        room: RoomId,
        read: impl Fn(&NewestMessages) -> Option<Page>,
        bypass: impl FnOnce(Repositories) -> Fut,
    ) -> Result<Page>
    where
        Fut: Future<Output = Result<Page>>,
    {
        let limits = self.store.tail_limits;
        let found = self
            .fill_log(
                &self.regions().room_messages,
                room,
                move |bare| fill_newest(bare, room, limits),
                read,
            )
            .await?;
        self.found_or(room, found, bypass).await
    }

    /// Returns the messages in `found`. If `found` is [`TailRead::Elsewhere`], reads the messages
    /// from the store with `bypass`.
    async fn found_or<T, Fut>(
        &self,
        room: RoomId,
        found: TailRead<T>,
        bypass: impl FnOnce(Repositories) -> Fut,
    ) -> Result<T>
    where
        T: Default + Deref<Target = [Arc<Message>]>,
        Fut: Future<Output = Result<T>>,
    {
        match found {
            TailRead::Found(found) => Ok(found.value.unwrap_or_default()),
            TailRead::Absent(_) => Ok(T::default()),
            TailRead::Elsewhere => {
                let messages = self.bypass(bypass(self.bare().clone())).await?;
                self.saw_messages(room, last_log_seq(&messages));
                Ok(messages)
            }
        }
    }

    async fn load_recent(
        &self,
        room: RoomId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Page> {
        let bypass = move |bare: Repositories| async move {
            bare.messages.recent(room, before, limit).await
        };
        self.load_page(room, move |newest| newest.recent(before, limit), bypass)
            .await
    }

    async fn load_since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let bypass =
            move |bare: Repositories| async move { bare.messages.since(room, after, limit).await };
        self.load_page(room, move |newest| newest.since(after, limit), bypass)
            .await
    }

    /// Records that a reader is about to return messages of the store, up to `seq`. From now on, a
    /// copy that ends before `seq` is not served.
    fn saw_messages(&self, room: RoomId, seq: u64) {
        let region = &self.regions().room_messages;
        region.saw(&room, seq);
        // Beside other processes, messages may be missing that the copy still has. A removal and a
        // clear take a sequence number, which no message shows.
        region.region().will_return(&room);
    }
}

/// Loads a batch of images. Readers may share it, so it may have keys of several rooms.
async fn load_images(
    bare: Repositories,
    keys: Vec<ImageKey>,
) -> Result<Vec<(ImageKey, Arc<Image>)>> {
    let mut messages_of: BTreeMap<RoomId, Vec<MessageId>> = BTreeMap::new();
    for ImageKey { room, message } in keys {
        messages_of.entry(room).or_default().push(message);
    }
    let mut loaded = Vec::new();
    for (room, messages) in messages_of {
        let found = bare.messages.images(room, &messages).await?.into_iter();
        loaded.extend(found.map(|(message, image)| (ImageKey { room, message }, image)));
    }
    Ok(loaded)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Messages for CachedPorts {
    hit_first! {
        fn recent(ports, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page>;
        hit: ports
            .log_hit(&ports.regions().room_messages, room, |newest| newest.recent(before, limit))
            .map(|found| Ok(found.unwrap_or_default())),
        miss: ports.load_recent(room, before, limit),
    }

    hit_first! {
        fn since(ports, room: RoomId, after: MessageId, limit: usize) -> Result<Page>;
        hit: ports
            .log_hit(&ports.regions().room_messages, room, |newest| newest.since(after, limit))
            .map(|found| Ok(found.unwrap_or_default())),
        miss: ports.load_since(room, after, limit),
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let read = self.bare().messages.by_authors(room, authors, after, limit);
        let messages = self.bypass(read).await?;
        self.saw_messages(room, last_log_seq(&messages));
        Ok(messages)
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let bypass = |bare: Repositories| async move {
            bare.messages.since_answer(room, agent, limit).await
        };
        if self.is_bypassing() {
            return self.found_or(room, TailRead::Elsewhere, bypass).await;
        }
        let members = self.members(room).await?;
        let Some(member) = members.iter().find(|member| member.agent == agent) else {
            return Ok(Vec::new());
        };
        let limits = self.store.tail_limits;
        let found = self
            .read_log(
                &self.regions().room_messages,
                room,
                move |bare| fill_newest(bare, room, limits),
                |newest| newest.since_answer(agent, member.joined_after_seq, limit),
            )
            .await?;
        self.found_or(room, found, bypass).await
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let region = &self.regions().room_answers;
        let fill = move |bare: Repositories| async move {
            let counts = bare.messages.answer_counts(room).await?;
            Ok(counts.map(AnswerCountsCopy::new))
        };
        let found = self
            .read_log(region, room, fill, |copy| Some(copy.0.clone()))
            .await?;
        match found {
            TailRead::Found(found) => Ok(found.value),
            TailRead::Absent(_) => Ok(None),
            TailRead::Elsewhere => {
                let counts = self
                    .bypass(self.bare().messages.answer_counts(room))
                    .await?;
                saw_end(region, room, counts.as_ref().map(|counts| counts.last_seq));
                Ok(counts)
            }
        }
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let end = self.bypass(self.bare().messages.end(room, limit)).await?;
        let region = &self.regions().room_messages;
        saw_end(region, room, end.as_ref().map(|end| end.last_seq));
        Ok(end)
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        if self.is_bypassing() {
            let images = self.bare().messages.images(room, messages);
            let images = self.bypass(images).await?;
            let keys = messages.iter().map(|&message| ImageKey { room, message });
            will_return(&self.regions().message_image, keys);
            return Ok(images);
        }
        let keys: Vec<_> = distinct(messages)
            .into_iter()
            .map(|message| ImageKey { room, message })
            .collect();
        let found = self
            .read_many(&self.regions().message_image, &keys, load_images)
            .await?;
        Ok(keys
            .into_iter()
            .zip(found)
            .filter_map(|(key, image)| Some((key.message, image?)))
            .collect())
    }

    async fn image_bytes(&self, owner: &UserId) -> Result<u64> {
        self.bypass(self.bare().messages.image_bytes(owner)).await
    }

    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>> {
        let read = self.bare().messages.removals(room, after, limit);
        let removals = self.bypass(read).await?;
        self.saw_messages(room, removals.last().map_or(0, |last| log_seq(last.seq)));
        Ok(removals)
    }

    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>> {
        let sent = self
            .bypass(self.bare().messages.find_sent(user, key))
            .await?;
        if let Some(message) = sent.as_ref().and_then(|sent| sent.message.as_ref()) {
            self.saw_messages(message.room, log_seq(message.seq));
        }
        Ok(sent)
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        let write = match new.image {
            Some(_) => Write::AppendImage(new.room),
            None => Write::AppendMessage(new.room),
        };
        let run = |bare: Repositories| async move { bare.messages.append(new).await };
        self.write_returning(write, run, |message: &Arc<Message>| Returned {
            message: Some(message.clone()),
            ..Returned::default()
        })
        .await
    }

    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()> {
        let run =
            move |bare: Repositories| async move { bare.messages.remove(room, message).await };
        self.write(Write::RemoveMessage(room), run).await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let run = move |bare: Repositories| async move { bare.messages.clear(room).await };
        self.write(Write::ClearMessages(room), run).await
    }
}
