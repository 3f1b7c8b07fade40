//! Faults of the rooms' logs.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;

use super::{Planted, PlantedFault, appends::LateWrite};
use crate::pause::pause;
use domain::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page, Removal,
    Result, RoomId, Sent, Seq, UserId,
};

const ALL: usize = usize::MAX;
const START: MessageId = MessageId(0);

type Log = Vec<Arc<Message>>;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Messages for Planted {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        if let Some(row) = self.deleted_room(PlantedFault::DeleteLeavesMessages, room) {
            return Ok(row.messages.into());
        }
        let memory = &self.memory;
        let mut page = memory.recent(room, before, limit).await?.to_vec();
        match self.fault {
            PlantedFault::RecentIsNewestFirst => page.reverse(),
            PlantedFault::RecentReturnsOldest => {
                page = memory.recent(room, before, ALL).await?.to_vec();
                page.truncate(limit);
            }
            PlantedFault::RecentIgnoresBefore => {
                page = memory.recent(room, None, limit).await?.to_vec();
            }
            PlantedFault::RecentIncludesBefore => {
                let beyond = before.map(|MessageId(id)| MessageId(id.saturating_add(1)));
                page = memory.recent(room, beyond, limit).await?.to_vec();
            }
            PlantedFault::RecentReturnsOneMore => {
                page = memory
                    .recent(room, before, limit.saturating_add(1))
                    .await?
                    .to_vec();
            }
            PlantedFault::RecentServesItsFirstResult if before.is_none() && limit == ALL => {
                page = self.remembered.tails.first(room, page);
            }
            _ => {}
        }
        self.apply_late_writes();
        Ok(page.into())
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let memory = &self.memory;
        let mut page = memory.since(room, after, limit).await?.to_vec();
        match self.fault {
            PlantedFault::SinceReturnsNewest => {
                page = last(memory.since(room, after, ALL).await?.to_vec(), limit);
            }
            PlantedFault::SinceIncludesAfter => {
                page = memory
                    .since(room, MessageId(after.0 - 1), limit)
                    .await?
                    .to_vec();
            }
            PlantedFault::SinceIgnoresTheLimit => {
                page = memory.since(room, after, ALL).await?.to_vec();
            }
            PlantedFault::SinceIsNewestFirst => page.reverse(),
            _ => {}
        }
        Ok(page.into())
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Log> {
        let memory = &self.memory;
        let start = after.unwrap_or(START);
        let mut page = memory.by_authors(room, authors, after, limit).await?;
        match self.fault {
            PlantedFault::ByAuthorsReturnsAllMessages => {
                page = memory.since(room, start, limit).await?.to_vec();
            }
            PlantedFault::ByAuthorsReturnsNewest => {
                page = last(memory.by_authors(room, authors, after, ALL).await?, limit);
            }
            PlantedFault::ByAuthorsIgnoresAfter => {
                page = memory.by_authors(room, authors, Some(START), limit).await?;
            }
            PlantedFault::ByAuthorsLimitsBeforeItPicks => {
                let reached = memory.since(room, start, limit).await?;
                page.retain(|message| reached.contains(message));
            }
            PlantedFault::ByAuthorsWithoutAfterReturnsOldest => {
                page = memory.by_authors(room, authors, Some(start), limit).await?;
            }
            _ => {}
        }
        Ok(page)
    }

    async fn since_answer(&self, room: RoomId, agent: AgentId, limit: usize) -> Result<Log> {
        let page = self.memory.since_answer(room, agent, limit).await?;
        let member = self.tables().rooms.get(&room).and_then(|row| {
            row.members
                .iter()
                .find(|member| member.agent == agent)
                .cloned()
        });
        let log = self.memory.recent(room, None, ALL).await?;
        let answered = log
            .iter()
            .rfind(|message| message.author == Some(agent))
            .map_or(Seq(0), |message| message.seq);
        let above = |place: Seq| {
            last(
                log.iter()
                    .filter(|message| message.seq > place)
                    .cloned()
                    .collect(),
                limit,
            )
        };
        Ok(match (self.fault, member) {
            (PlantedFault::SinceAnswerIgnoresAnswers, Some(member)) => {
                above(member.joined_after_seq)
            }
            (PlantedFault::SinceAnswerIgnoresJoining, Some(_))
            | (PlantedFault::SinceAnswerServesNonMembers, None) => above(answered),
            (PlantedFault::SinceAnswerReturnsOldest, _) => {
                let mut all = self.memory.since_answer(room, agent, ALL).await?;
                all.truncate(limit);
                all
            }
            _ => page,
        })
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let mut answers = self.memory.answer_counts(room).await?;
        match (self.fault, &mut answers) {
            (PlantedFault::AnswerCountsIncludeOtherRooms, Some(answers)) => {
                let tables = self.tables();
                let authors = tables
                    .rooms
                    .values()
                    .flat_map(|row| &row.messages)
                    .filter_map(|message| message.author);
                let by_agent = &mut Arc::make_mut(answers).by_agent;
                by_agent.clear();
                authors.for_each(|author| *by_agent.entry(author).or_default() += 1);
            }
            (PlantedFault::AnswerCountsAreTorn, Some(answers)) => {
                pause().await;
                if let Some(later) = self.memory.answer_counts(room).await? {
                    Arc::make_mut(answers).by_agent.clone_from(&later.by_agent);
                }
            }
            (PlantedFault::AnswerCountsServeTheirFirstResult, Some(_)) => {
                answers = self.remembered.answers.first(room, answers);
            }
            _ => {}
        }
        Ok(answers)
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let mut end = self.memory.end(room, limit).await?;
        match (self.fault, &mut end) {
            (PlantedFault::EndReturnsOldest, Some(end)) => {
                end.messages = self.memory.recent(room, None, ALL).await?.to_vec();
                end.messages.truncate(limit);
            }
            (PlantedFault::EndIsTorn, Some(end)) => {
                pause().await;
                end.messages = self.memory.recent(room, None, limit).await?.to_vec();
            }
            (PlantedFault::EndIgnoresClears, Some(end)) => {
                end.last_seq = end.messages.last().map_or(Seq(0), |last| last.seq);
            }
            (PlantedFault::EndOfUnknownRooms, None) => {
                end = Some(LogEnd {
                    last_seq: Seq(0),
                    messages: Vec::new(),
                });
            }
            _ => {}
        }
        Ok(end)
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        self.limit_ids(messages, PlantedFault::LongListsOfImagesAreRefused)?;
        let mut found = self.memory.images(room, messages).await?;
        if self.is(PlantedFault::ImagesOfOtherRooms) {
            let ids: BTreeSet<_> = messages.iter().collect();
            let tables = self.tables();
            let image = |id| {
                tables
                    .rooms
                    .values()
                    .find_map(|row| row.images.get(id))
                    .map(|image| (*id, image.clone()))
            };
            found = ids.into_iter().filter_map(image).collect();
        }
        Ok(self.break_order(
            messages,
            found,
            |(id, _)| *id,
            PlantedFault::ImagesKeepTheOrderOfIds,
            Some(PlantedFault::ImagesAreRepeated),
        ))
    }

    async fn image_bytes(&self, owner: &UserId) -> Result<u64> {
        if self.is(PlantedFault::ImageBytesOfAllOwners) {
            let tables = self.tables();
            let images = tables.rooms.values().flat_map(|row| row.images.values());
            return Ok(images.map(|image| image.bytes()).sum());
        }
        self.memory.image_bytes(owner).await
    }

    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>> {
        let (after, limit) = match self.fault {
            PlantedFault::RemovalsOfAllTimes => (Seq(0), limit),
            PlantedFault::RemovalsIgnoreTheLimit => (after, ALL),
            _ => (after, limit),
        };
        self.memory.removals(room, after, limit).await
    }

    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>> {
        let mut users = vec![user.clone()];
        if self.is(PlantedFault::FindSentOfAnyUser) {
            let tables = self.tables();
            let others = tables.sent.keys().filter(|(_, other)| other == key);
            users.extend(others.map(|(user, _)| user.clone()));
        }
        for user in users {
            if let Some(sent) = self.memory.find_sent(&user, key).await? {
                return Ok(Some(sent));
            }
        }
        Ok(None)
    }

    async fn append(&self, mut new: NewMessage) -> Result<Arc<Message>> {
        let room = new.room;
        let before = self
            .tables()
            .rooms
            .get(&room)
            .map(|row| row.activity.clone())
            .unwrap_or_default();
        match self.fault {
            PlantedFault::AppendLosesThinking => new.thinking = None,
            PlantedFault::AppendIgnoresSendKeys => self.forget_key(&new),
            PlantedFault::AppendUsesTheKeyOfARefusedMessage => self.use_key(&new),
            PlantedFault::AppendIsNotAtomic => pause().await,
            PlantedFault::SettleIsTooEarly => {
                let mut dropped = LateWrite {
                    planted: self,
                    new: Some(new.clone()),
                };
                pause().await;
                dropped.new = None;
            }
            _ => {}
        }
        if self.is(PlantedFault::AppendSucceedsForUnknownRooms)
            && !self.tables().rooms.contains_key(&room)
        {
            return Ok(self.unstored_message(new));
        }
        let stored = self.memory.append(new).await?;
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let activity = Arc::make_mut(&mut row.activity);
        match self.fault {
            PlantedFault::AppendLosesTheImage => drop(row.images.remove(&stored.id)),
            PlantedFault::AppendForgetsActivity => {
                activity.last_activity_at = before.last_activity_at;
            }
            PlantedFault::AppendChangesTheRoom => Arc::make_mut(&mut row.room).version += 1,
            PlantedFault::AppendMarksForAllUsers => row
                .reads
                .values_mut()
                .for_each(|read| Arc::make_mut(read).read_seq = stored.seq),
            PlantedFault::AppendLeavesAGap => activity.last_seq.0 += 1,
            PlantedFault::AppendIsNotAtomic => {
                activity.last_seq = Seq(before.last_seq.0 + 1);
                activity.last_message_seq = activity.last_seq;
                if let Some(message) = row.messages.last_mut() {
                    Arc::make_mut(message).seq = activity.last_seq;
                    return Ok(message.clone());
                }
            }
            _ => {}
        }
        Ok(stored)
    }

    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()> {
        self.remove_message(room, message).await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        self.clear_log(room).await
    }
}

fn last(mut log: Log, limit: usize) -> Log {
    log.split_off(log.len().saturating_sub(limit))
}
