//! The rooms' logs in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};

use super::{Memory, RoomRow, SentRow, Tables, each_once, part};
use domain::{
    AgentId, AnswerCounts, Change, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage,
    Page, Removal, Result, RoomId, SendKey, Sent, Seq, UserId,
};

#[async_trait]
impl Messages for Memory {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        let tables = self.tables();
        let log = log(&tables, room);
        let length = before.map_or(log.len(), |before| {
            log.partition_point(|message| message.id < before)
        });
        Ok(newest(&log[..length], limit).into())
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        Ok(above(log(&self.tables(), room), after)
            .iter()
            .take(limit)
            .cloned()
            .collect())
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let tables = self.tables();
        let by_them = |message: &&Arc<Message>| {
            message
                .author
                .is_some_and(|author| authors.contains(&author))
        };
        let theirs = log(&tables, room).iter().filter(by_them).cloned();
        Ok(part(theirs, |message| message.id, after, limit))
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let tables = self.tables();
        let log = log(&tables, room);
        let members = tables
            .rooms
            .get(&room)
            .map(|row| row.members.as_slice())
            .unwrap_or_default();
        let Some(member) = members.iter().find(|member| member.agent == agent) else {
            return Ok(Vec::new());
        };
        let answered = log
            .iter()
            .rfind(|message| message.author == Some(agent))
            .map_or(Seq(0), |message| message.seq);
        // An agent that joined again does not see the messages sent during its absence.
        let from = answered.max(member.joined_after_seq);
        Ok(newest(
            &log[log.partition_point(|message| message.seq <= from)..],
            limit,
        ))
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let tables = self.tables();
        let Some(row) = tables.rooms.get(&room) else {
            return Ok(None);
        };
        let mut answers = AnswerCounts {
            last_seq: row.activity.last_seq,
            ..AnswerCounts::default()
        };
        for author in row.messages.iter().filter_map(|message| message.author) {
            *answers.by_agent.entry(author).or_default() += 1;
        }
        Ok(Some(Arc::new(answers)))
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let tables = self.tables();
        let end = |row: &RoomRow| LogEnd {
            last_seq: row.activity.last_seq,
            messages: newest(&row.messages, limit),
        };
        Ok(tables.rooms.get(&room).map(end))
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        let tables = self.tables();
        let Some(row) = tables.rooms.get(&room) else {
            return Ok(Vec::new());
        };
        Ok(each_once(&row.images, messages)
            .map(|(id, image)| (id, image.clone()))
            .collect())
    }

    async fn image_bytes(&self, owner: &UserId) -> Result<u64> {
        let tables = self.tables();
        let rooms = tables.rooms.values();
        let own = rooms.filter(|row| row.room.owner == *owner);
        let images = own.flat_map(|row| row.images.values());
        Ok(images.map(|image| image.bytes()).sum())
    }

    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>> {
        let tables = self.tables();
        let removals = tables.rooms.get(&room).map(|row| row.removals.as_slice());
        let later = removals.unwrap_or_default().iter();
        Ok(later
            .filter(|removal| removal.seq > after)
            .take(limit)
            .copied()
            .collect())
    }

    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>> {
        let tables = self.tables();
        let row = tables.sent.get(&(user.clone(), key.to_owned()));
        Ok(row.filter(|row| row.is_current()).map(|row| {
            let mut messages = log(&tables, row.room).iter();
            Sent {
                digest: row.digest.clone(),
                message: messages.find(|message| message.id == row.message).cloned(),
            }
        }))
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.tables().append(new)
    }

    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let index = row.messages.iter().position(|found| found.id == message);
        let index = index.ok_or_else(|| Error::missing("message", message))?;
        row.messages.remove(index);
        row.images.remove(&message);
        let last = row.messages.last().map_or(Seq(0), |last| last.seq);
        let activity = Arc::make_mut(&mut row.activity);
        let seq = Seq(activity.last_seq.0 + 1);
        activity.last_seq = seq;
        activity.removed_seq = seq;
        activity.last_message_seq = last;
        row.removals.push(Removal { seq, message });
        tables.log.add(Change::MessagesRemoved(room));
        Ok(())
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let activity = Arc::make_mut(&mut row.activity);
        activity.last_seq = Seq(activity.last_seq.0 + 1);
        activity.last_message_seq = Seq(0);
        activity.cleared_seq = activity.last_seq;
        row.images.clear();
        row.removals.clear();
        let count = row.messages.drain(..).count() as u64;
        tables.log.add(Change::MessagesRemoved(room));
        Ok(count)
    }
}

impl Tables {
    pub(crate) fn append(&mut self, new: NewMessage) -> Result<Arc<Message>> {
        if let Some(author) = new
            .author
            .filter(|author| !self.agents.contains_key(author))
        {
            return Err(Error::missing("agent", author));
        }
        if contains_nul(&new) {
            return Err(Error::Invalid(
                "a text must not contain the character NUL".into(),
            ));
        }
        self.room(new.room)?;
        let id = MessageId(self.last_message + 1);
        if let Some(send_key) = &new.send_key {
            self.use_key(send_key, new.room, id)?;
        }
        let message = self.room_mut(new.room)?.append(id, new);
        self.last_message = id.0;
        let change = Change::MessageAppended(message.room, message.seq);
        self.log.add(change);
        Ok(message)
    }

    fn use_key(&mut self, send_key: &SendKey, room: RoomId, message: MessageId) -> Result<()> {
        let key = (send_key.user.clone(), send_key.key.clone());
        if self.sent.get(&key).is_some_and(SentRow::is_current) {
            return Err(Error::Conflict(
                "a message was sent under this key already".into(),
            ));
        }
        let row = SentRow {
            digest: send_key.digest.clone(),
            room,
            message,
            at: Utc::now(),
        };
        self.sent.insert(key, row);
        Ok(())
    }
}

impl SentRow {
    fn is_current(&self) -> bool {
        Utc::now() - self.at < TimeDelta::hours(24)
    }
}

impl RoomRow {
    fn append(&mut self, id: MessageId, new: NewMessage) -> Arc<Message> {
        let activity = Arc::make_mut(&mut self.activity);
        let (seq, now) = (Seq(activity.last_seq.0 + 1), Utc::now());
        activity.last_seq = seq;
        activity.last_message_seq = seq;
        if new.is_from_user() {
            activity.last_user_seq = seq;
        }
        if new.is_activity() {
            activity.last_activity_at = Some(now);
        }
        let message = Arc::new(Message {
            id,
            room: new.room,
            seq,
            author: new.author,
            content: new.content,
            role: new.role,
            participant_type: new.participant_type,
            participant_name: new.participant_name,
            thinking: new.thinking,
            anthropic_calls: new.anthropic_calls,
            timestamp: now,
            image_media_type: new.image.as_ref().map(|image| image.media_type.clone()),
            interrupted: new.interrupted,
        });
        self.images
            .extend(new.image.map(|image| (id, Arc::new(image))));
        self.messages.push(message.clone());
        message
    }
}

fn contains_nul(new: &NewMessage) -> bool {
    let texts = [
        Some(&new.content),
        new.thinking.as_ref(),
        new.participant_name.as_ref(),
    ];
    texts.into_iter().flatten().any(|text| text.contains('\0'))
}

fn log(tables: &Tables, room: RoomId) -> &[Arc<Message>] {
    tables
        .rooms
        .get(&room)
        .map(|row| row.messages.as_slice())
        .unwrap_or_default()
}

fn above(log: &[Arc<Message>], after: MessageId) -> &[Arc<Message>] {
    &log[log.partition_point(|message| message.id <= after)..]
}

fn newest(log: &[Arc<Message>], limit: usize) -> Vec<Arc<Message>> {
    log[log.len().saturating_sub(limit)..].to_vec()
}
