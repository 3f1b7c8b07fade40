//! What can be wrong with the rooms' logs.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Fault, Planted};
use crate::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page, Result,
    RoomId, Seq, contract::pause,
};

const ALL: usize = usize::MAX;
const START: MessageId = MessageId(0);

type Log = Vec<Arc<Message>>;

#[async_trait]
impl Messages for Planted {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        if let Some(row) = self.grave(Fault::DeleteLeavesMessages, room) {
            return Ok(row.messages.into());
        }
        let memory = &self.memory;
        let mut page = memory.recent(room, before, limit).await?.to_vec();
        match self.fault {
            Fault::RecentIsNewestFirst => page.reverse(),
            Fault::RecentReturnsOldest => {
                page = memory.recent(room, before, ALL).await?.to_vec();
                page.truncate(limit);
            }
            Fault::RecentIgnoresBefore => page = memory.recent(room, None, limit).await?.to_vec(),
            Fault::RecentIncludesBefore => {
                let beyond = before.map(|MessageId(id)| MessageId(id.saturating_add(1)));
                page = memory.recent(room, beyond, limit).await?.to_vec();
            }
            Fault::RecentGivesOneMore => {
                page = memory
                    .recent(room, before, limit.saturating_add(1))
                    .await?
                    .to_vec();
            }
            Fault::RecentServesItsFirstAnswer if before.is_none() && limit == ALL => {
                page = self.seen.tails.first(room, page);
            }
            _ => {}
        }
        self.land();
        Ok(page.into())
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let memory = &self.memory;
        let mut page = memory.since(room, after, limit).await?.to_vec();
        match self.fault {
            Fault::SinceReturnsNewest => {
                page = last(memory.since(room, after, ALL).await?.to_vec(), limit);
            }
            Fault::SinceIncludesAfter => {
                page = memory
                    .since(room, MessageId(after.0 - 1), limit)
                    .await?
                    .to_vec();
            }
            Fault::SinceIgnoresTheLimit => page = memory.since(room, after, ALL).await?.to_vec(),
            Fault::SinceIsNewestFirst => page.reverse(),
            _ => {}
        }
        Ok(page.into())
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: MessageId,
        limit: usize,
    ) -> Result<Log> {
        let memory = &self.memory;
        let mut page = memory.by_authors(room, authors, after, limit).await?;
        match self.fault {
            Fault::ByAuthorsGivesEverybody => {
                page = memory.since(room, after, limit).await?.to_vec();
            }
            Fault::ByAuthorsReturnsNewest => {
                page = last(memory.by_authors(room, authors, after, ALL).await?, limit);
            }
            Fault::ByAuthorsIgnoresAfter => {
                page = memory.by_authors(room, authors, START, limit).await?;
            }
            Fault::ByAuthorsLimitsBeforeItPicks => {
                let reached = memory.since(room, after, limit).await?;
                page.retain(|message| reached.contains(message));
            }
            _ => {}
        }
        Ok(page)
    }

    async fn since_answer(&self, room: RoomId, agent: AgentId, limit: usize) -> Result<Log> {
        let page = self.memory.since_answer(room, agent, limit).await?;
        let member = self.state().rooms.get(&room).and_then(|row| {
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
            (Fault::SinceAnswerIgnoresAnswers, Some(member)) => above(member.joined_after_seq),
            (Fault::SinceAnswerIgnoresJoining, Some(_))
            | (Fault::SinceAnswerIsForEverybody, None) => above(answered),
            (Fault::SinceAnswerReturnsOldest, _) => {
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
            (Fault::AnswersCountOtherRooms, Some(answers)) => {
                let state = self.state();
                let said = state
                    .rooms
                    .values()
                    .flat_map(|row| &row.messages)
                    .filter_map(|message| message.author);
                let by_agent = &mut Arc::make_mut(answers).by_agent;
                by_agent.clear();
                said.for_each(|author| *by_agent.entry(author).or_default() += 1);
            }
            (Fault::AnswersServeTheirFirst, Some(_)) => {
                answers = self.seen.answers.first(room, answers);
            }
            _ => {}
        }
        Ok(answers)
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let mut end = self.memory.end(room, limit).await?;
        match (self.fault, &mut end) {
            (Fault::EndReturnsOldest, Some(end)) => {
                end.messages = self.memory.recent(room, None, ALL).await?.to_vec();
                end.messages.truncate(limit);
            }
            (Fault::EndTakesThePlaceOfTheLastMessage, Some(end)) => {
                end.last_seq = end.messages.last().map_or(Seq(0), |last| last.seq);
            }
            (Fault::EndOfUnknownRooms, None) => {
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
        let mut found = self.memory.images(room, messages).await?;
        if self.is(Fault::ImagesOfOtherRooms) {
            let ids: BTreeSet<_> = messages.iter().collect();
            let state = self.state();
            let image = |id| {
                state
                    .rooms
                    .values()
                    .find_map(|row| row.images.get(id))
                    .map(|image| (*id, image.clone()))
            };
            found = ids.into_iter().filter_map(image).collect();
        }
        Ok(self.batch(
            messages,
            found,
            |(id, _)| *id,
            Fault::ImagesKeepTheOrderAsked,
            Some(Fault::ImagesAreRepeated),
        ))
    }

    async fn append(&self, mut new: NewMessage) -> Result<Arc<Message>> {
        let room = new.room;
        let before = self
            .state()
            .rooms
            .get(&room)
            .map(|row| row.activity.clone())
            .unwrap_or_default();
        match self.fault {
            Fault::AppendLosesThinking => new.thinking = None,
            Fault::AppendIsNotAtomic => pause().await,
            Fault::SettleIsTooEarly => {
                let mut dropped = Dropped {
                    planted: self,
                    new: Some(new.clone()),
                };
                pause().await;
                dropped.new = None;
            }
            _ => {}
        }
        if self.is(Fault::AppendAnswersForUnknownRooms) && !self.state().rooms.contains_key(&room) {
            return Ok(self.nowhere(new));
        }
        let stored = self.memory.append(new).await?;
        let mut state = self.state();
        let row = state.room_mut(room)?;
        let activity = Arc::make_mut(&mut row.activity);
        match self.fault {
            Fault::AppendLosesTheImage => drop(row.images.remove(&stored.id)),
            Fault::AppendForgetsActivity => activity.last_activity_at = before.last_activity_at,
            Fault::AppendChangesTheRoom => Arc::make_mut(&mut row.room).version += 1,
            Fault::AppendReadsForEverybody => row
                .reads
                .values_mut()
                .for_each(|read| Arc::make_mut(read).read_seq = stored.seq),
            Fault::AppendLeavesAGap => activity.last_seq.0 += 1,
            Fault::AppendIsNotAtomic => {
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

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let before = self.state().rooms.get(&room).cloned();
        let cleared = self.memory.clear(room).await?;
        let mut state = self.state();
        let Some(before) = before else {
            return Ok(cleared);
        };
        match self.fault {
            Fault::ClearTakesNoPlace => {
                Arc::make_mut(&mut state.room_mut(room)?.activity).last_seq =
                    before.activity.last_seq;
            }
            Fault::ClearFreesIds => {
                state.last_message = before
                    .messages
                    .first()
                    .map_or(state.last_message, |first| first.id.0 - 1);
            }
            Fault::ClearAnswersNothing => return Ok(0),
            Fault::ClearReachesOtherRooms => state
                .rooms
                .values_mut()
                .for_each(|row| row.messages.clear()),
            Fault::ClearForgetsTheLastUser => {
                Arc::make_mut(&mut state.room_mut(room)?.activity).last_user_seq = Seq(0);
            }
            Fault::ClearLeavesImages => state.room_mut(room)?.images = before.images,
            _ => {}
        }
        Ok(cleared)
    }
}

/// A message that lands late, if its caller goes away.
struct Dropped<'a> {
    planted: &'a Planted,
    new: Option<NewMessage>,
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.planted.late().extend(self.new.take());
    }
}

impl Planted {
    fn late(&self) -> MutexGuard<'_, Vec<NewMessage>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self) {
        let late = mem::take(&mut *self.late());
        let mut state = self.state();
        for new in late {
            // Its room may be gone by now, and nobody waits for the answer.
            drop(state.append(new));
        }
    }

    /// What would be stored, if there were a room.
    fn nowhere(&self, new: NewMessage) -> Arc<Message> {
        let mut state = self.state();
        state.last_message += 1;
        Arc::new(Message {
            id: MessageId(state.last_message),
            room: new.room,
            seq: Seq(1),
            author: new.author,
            content: new.content,
            role: new.role,
            participant_type: new.participant_type,
            participant_name: new.participant_name,
            thinking: new.thinking,
            anthropic_calls: new.anthropic_calls,
            timestamp: chrono::Utc::now(),
            image_media_type: None,
            interrupted: new.interrupted,
        })
    }
}

fn last(mut log: Log, limit: usize) -> Log {
    log.split_off(log.len().saturating_sub(limit))
}
