//! The rooms' logs in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;

use super::{Memory, RoomRow, Tables, each_once, part};
use domain::{
    AgentId, AnswerCounts, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    Result, RoomId, Seq,
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

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.tables().append(new)
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let activity = Arc::make_mut(&mut row.activity);
        activity.last_seq = Seq(activity.last_seq.0 + 1);
        activity.last_message_seq = Seq(0);
        row.images.clear();
        Ok(row.messages.drain(..).count() as u64)
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
        let id = MessageId(self.last_message + 1);
        let message = self.room_mut(new.room)?.append(id, new);
        self.last_message = id.0;
        Ok(message)
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
