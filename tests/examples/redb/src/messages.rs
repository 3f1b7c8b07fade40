//! The port `Messages`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use domain::{
    AgentId, AnswerCounts, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    Removal, Result, RoomId, SendKey, Sent, Seq, UserId,
};
use redb::WriteTransaction;

use crate::{
    agents::require_known,
    database_file::TxResult,
    json_table::{Tables, first_entries, last_entries, remove_entry, set_entry},
    members,
    rooms::require_activity,
    rows::SentRow,
    store::RedbStore,
    tables::{
        ACTIVITIES, ANSWER_COUNTS, AUTHORED, COUNTERS, IMAGE_BYTES, IMAGES, MESSAGES, OWNER_ROOMS,
        REMOVALS, SENT, above, all_in, authored, below, increment, number, owned, remove_log,
    },
};

/// An id below the ids of all messages.
const START: MessageId = MessageId(0);

#[async_trait]
impl Messages for RedbStore {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        self.read(move |tx| {
            let span = before.map_or_else(|| all_in(room), |before| below(room, before));
            Ok(shared(MESSAGES.last(tx, span, limit)?).collect())
        })
        .await
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        self.read(move |tx| Ok(shared(MESSAGES.first(tx, above(room, after), limit)?).collect()))
            .await
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let authors: BTreeSet<AgentId> = authors.iter().copied().collect();
        self.read(move |tx| {
            let mut ids = BTreeSet::new();
            for author in authors {
                ids.extend(ids_of_author(tx, room, author, after, limit)?);
            }
            let surplus = ids.len().saturating_sub(limit);
            let skipped = if after.is_some() { 0 } else { surplus };
            let keys = ids.iter().skip(skipped).take(limit);
            let found = MESSAGES.get_many(tx, keys.map(|id| (room.0, *id)))?;
            Ok(found
                .into_iter()
                .map(|(_, message)| Arc::new(message))
                .collect())
        })
        .await
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        self.read(move |tx| {
            let Some(member) = members::find(tx, room, agent)? else {
                return Ok(Vec::new());
            };
            let own = authored(room, agent, START);
            let answered = last_entries(tx, AUTHORED, own, 1, |_, seq| Ok(Seq(seq)))?.pop();
            // An agent that joined again does not see the messages sent during its absence.
            let from = answered.unwrap_or(Seq(0)).max(member.joined_after_seq);
            // Ids rise with sequence numbers, so the search ends at the first older message.
            let unanswered = |message: &Message| message.seq > from;
            let messages = MESSAGES.last_while(tx, all_in(room), limit, unanswered)?;
            Ok(shared(messages).collect())
        })
        .await
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        self.read(move |tx| {
            let Some(activity) = ACTIVITIES.get(tx, room.0)? else {
                return Ok(None);
            };
            let count =
                |(_, agent): (i64, i64), count: i64| Ok((AgentId(agent), count.unsigned_abs()));
            let counts = first_entries(tx, ANSWER_COUNTS, all_in(room), usize::MAX, count)?;
            Ok(Some(Arc::new(AnswerCounts {
                last_seq: activity.last_seq,
                by_agent: counts.into_iter().collect(),
            })))
        })
        .await
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        self.read(move |tx| {
            let Some(activity) = ACTIVITIES.get(tx, room.0)? else {
                return Ok(None);
            };
            Ok(Some(LogEnd {
                last_seq: activity.last_seq,
                messages: shared(MESSAGES.last(tx, all_in(room), limit)?).collect(),
            }))
        })
        .await
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        let keys: BTreeSet<_> = messages.iter().map(|id| (room.0, id.0)).collect();
        self.read(move |tx| {
            let found = IMAGES.get_many(tx, keys)?.into_iter();
            Ok(found
                .map(|((_, id), image)| (MessageId(id), Arc::new(image)))
                .collect())
        })
        .await
    }

    async fn image_bytes(&self, owner: &UserId) -> Result<u64> {
        let owner = owner.clone();
        self.read(move |tx| {
            let room = |(_, room): (&str, i64), ()| Ok(RoomId(room));
            let rooms = first_entries(tx, OWNER_ROOMS, owned(&owner, RoomId(0)), usize::MAX, room)?;
            let mut bytes = 0;
            for room in rooms {
                let size = |_: (i64, i64), bytes: i64| Ok(bytes.unsigned_abs());
                let sizes = first_entries(tx, IMAGE_BYTES, all_in(room), usize::MAX, size)?;
                bytes += sizes.into_iter().sum::<u64>();
            }
            Ok(bytes)
        })
        .await
    }

    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>> {
        self.read(move |tx| {
            let removal = |(_, seq): (i64, i64), message| {
                Ok(Removal {
                    seq: Seq(seq),
                    message: MessageId(message),
                })
            };
            first_entries(
                tx,
                REMOVALS,
                above(room, MessageId(after.0)),
                limit,
                removal,
            )
        })
        .await
    }

    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>> {
        let (user, key) = (user.clone(), key.to_owned());
        self.read(move |tx| {
            let row = SENT.get(tx, (user.as_str(), key.as_str()))?;
            let Some(row) = row.filter(is_used) else {
                return Ok(None);
            };
            let message = MESSAGES.get(tx, (row.room.0, row.message.0))?;
            Ok(Some(Sent {
                digest: row.digest,
                message: message.map(Arc::new),
            }))
        })
        .await
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.write(move |tx| append(tx, new).map(Arc::new)).await
    }

    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()> {
        self.write(move |tx| remove(tx, room, message)).await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        self.write(move |tx| {
            let mut activity = require_activity(tx, room)?;
            activity.last_seq = Seq(activity.last_seq.0 + 1);
            activity.last_message_seq = Seq(0);
            activity.cleared_seq = activity.last_seq;
            ACTIVITIES.insert(tx, room.0, &activity)?;
            remove_log(tx, room)
        })
        .await
    }
}

/// Appends a message to the log of its room.
pub(crate) fn append(tx: &WriteTransaction, new: NewMessage) -> TxResult<Message> {
    refuse_nul(&new)?;
    let mut activity = require_activity(tx, new.room)?;
    if let Some(author) = new.author {
        require_known(tx, author)?;
    }
    let (seq, now) = (Seq(activity.last_seq.0 + 1), Utc::now());
    activity.last_seq = seq;
    activity.last_message_seq = seq;
    if new.is_from_user() {
        activity.last_user_seq = seq;
    }
    if new.is_activity() {
        activity.last_activity_at = Some(now);
    }
    let message = Message {
        id: MessageId(increment(tx, COUNTERS, "messages")?),
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
    };
    let (room, id) = (message.room.0, message.id.0);
    ACTIVITIES.insert(tx, room, &activity)?;
    MESSAGES.insert(tx, (room, id), &message)?;
    if let Some(image) = &new.image {
        IMAGES.insert(tx, (room, id), image)?;
        set_entry(tx, IMAGE_BYTES, (room, id), image.bytes().cast_signed())?;
    }
    if let Some(send_key) = &new.send_key {
        use_key(tx, send_key, &message)?;
    }
    if let Some(author) = message.author {
        set_entry(tx, AUTHORED, (room, author.0, id), seq.0)?;
        increment(tx, ANSWER_COUNTS, (room, author.0))?;
    }
    Ok(message)
}

/// Removes a message from the log of its room.
fn remove(tx: &WriteTransaction, room: RoomId, id: MessageId) -> TxResult<()> {
    let mut activity = require_activity(tx, room)?;
    let key = (room.0, id.0);
    let message = MESSAGES.get(tx, key)?;
    let message = message.ok_or_else(|| Error::missing("message", id))?;
    MESSAGES.remove(tx, key)?;
    IMAGES.remove(tx, key)?;
    remove_entry(tx, IMAGE_BYTES, key)?;
    if let Some(author) = message.author {
        remove_entry(tx, AUTHORED, (room.0, author.0, id.0))?;
        let left = number(tx, ANSWER_COUNTS, (room.0, author.0))?.unwrap_or(0) - 1;
        if left > 0 {
            set_entry(tx, ANSWER_COUNTS, (room.0, author.0), left)?;
        } else {
            remove_entry(tx, ANSWER_COUNTS, (room.0, author.0))?;
        }
    }
    let newest = MESSAGES.last(tx, all_in(room), 1)?.pop();
    activity.last_seq = Seq(activity.last_seq.0 + 1);
    activity.removed_seq = activity.last_seq;
    activity.last_message_seq = newest.map_or(Seq(0), |newest| newest.seq);
    ACTIVITIES.insert(tx, room.0, &activity)?;
    set_entry(tx, REMOVALS, (room.0, activity.last_seq.0), id.0)
}

fn use_key(tx: &WriteTransaction, send_key: &SendKey, message: &Message) -> TxResult<()> {
    let key = (send_key.user.as_str(), send_key.key.as_str());
    if SENT.get(tx, key)?.is_some_and(|row| is_used(&row)) {
        return Err(Error::Conflict("a message was sent under this key already".into()).into());
    }
    let row = SentRow {
        digest: send_key.digest.clone(),
        room: message.room,
        message: message.id,
        at: message.timestamp,
    };
    SENT.insert(tx, key, &row)
}

/// Returns `true` if a key is not free again yet.
fn is_used(row: &SentRow) -> bool {
    Utc::now() - row.at < TimeDelta::hours(24)
}

fn refuse_nul(new: &NewMessage) -> Result<()> {
    let texts = [
        Some(&new.content),
        new.thinking.as_ref(),
        new.participant_name.as_ref(),
    ];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(Error::Invalid(
            "a text must not contain the character NUL".into(),
        ));
    }
    Ok(())
}

/// Returns the ids of the author's oldest `limit` messages above `after`, or of the newest `limit`
/// if `after` is `None`.
fn ids_of_author(
    tables: &impl Tables,
    room: RoomId,
    author: AgentId,
    after: Option<MessageId>,
    limit: usize,
) -> TxResult<Vec<i64>> {
    let span = authored(room, author, after.unwrap_or(START));
    let id = |(_, _, id): (i64, i64, i64), _: i64| Ok(id);
    match after {
        Some(_) => first_entries(tables, AUTHORED, span, limit, id),
        None => last_entries(tables, AUTHORED, span, limit, id),
    }
}

fn shared(messages: Vec<Message>) -> impl Iterator<Item = Arc<Message>> {
    messages.into_iter().map(Arc::new)
}
