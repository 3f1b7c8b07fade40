//! The model of a room's messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use cache_adapter::Cache;
use domain::{AgentId, Message, MessageId, NewMessage, Page, Repositories, Result, RoomId};
use tests::{linearizability::SequentialModel, random::Random};

use super::model::{HistoryWorld, KeyModel, Outcome, done, number, value};

/// The log of a room in the model: all messages, including cleared ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct LogModel {
    /// The text and the sequence number of each message, oldest first.
    rows: Vec<(LogText, i64)>,
    /// The number of rows that were cleared.
    cleared: usize,
    last_seq: i64,
    is_deleted: bool,
}

/// The text of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LogText {
    /// A user's message with this number.
    Sent(u32),
    /// The system's message about a new member: an index into [`HistoryWorld::joiners`].
    Joined(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum LogCall {
    Send(u32),
    /// Adds a joiner to the room. Each joiner joins once, so the log depends on no other state of
    /// the room.
    Join(usize),
    Clear,
    DeleteRoom,
    /// Reads the messages after a message that a client has received.
    After(LogText),
    All,
    Recent,
}

/// A room, the agents that may join it, and the messages that clients have received.
#[derive(Clone)]
pub(crate) struct LogKey {
    room: RoomId,
    joiners: Arc<[AgentId]>,
    known: Arc<Mutex<KnownMessages>>,
}

#[derive(Default)]
pub(crate) struct KnownMessages {
    ids: BTreeMap<LogText, MessageId>,
    /// The messages that a client has received.
    received: BTreeSet<LogText>,
    /// The number of joiners that have joined.
    joined: usize,
}

impl LogModel {
    fn append(&mut self, text: LogText) -> (LogText, i64) {
        self.last_seq += 1;
        self.rows.push((text, self.last_seq));
        (text, self.last_seq)
    }
}

impl SequentialModel for LogModel {
    type Call = LogCall;
    type Outcome = Outcome<Vec<(LogText, i64)>>;

    fn apply(&mut self, call: &LogCall) -> Self::Outcome {
        match call {
            LogCall::After(text) => match self.rows.iter().position(|(row, _)| row == text) {
                Some(index) => Outcome::Value(self.rows[self.cleared.max(index + 1)..].to_vec()),
                // In this order of calls, the message does not exist yet, so no client can have
                // received it.
                None => Outcome::Missing,
            },
            LogCall::All | LogCall::Recent => Outcome::Value(self.rows[self.cleared..].to_vec()),
            LogCall::Send(_) | LogCall::Join(_) | LogCall::Clear | LogCall::DeleteRoom
                if self.is_deleted =>
            {
                Outcome::Missing
            }
            LogCall::Send(number) => Outcome::Value(vec![self.append(LogText::Sent(*number))]),
            // The server adds no message about a new member to an empty log.
            LogCall::Join(_) if self.rows.len() == self.cleared => Outcome::Value(Vec::new()),
            LogCall::Join(joiner) => Outcome::Value(vec![self.append(LogText::Joined(*joiner))]),
            LogCall::Clear => {
                self.last_seq += 1;
                self.cleared = self.rows.len();
                Outcome::Done
            }
            LogCall::DeleteRoom => {
                (self.cleared, self.is_deleted) = (self.rows.len(), true);
                Outcome::Done
            }
        }
    }

    fn is_read(call: &LogCall) -> bool {
        matches!(call, LogCall::After(_) | LogCall::All | LogCall::Recent)
    }
}

impl KeyModel for LogModel {
    type Key = LogKey;

    async fn create(world: &HistoryWorld) -> (LogKey, Self) {
        let key = LogKey {
            room: world.create_room().await,
            joiners: world.joiners.clone().into(),
            known: Arc::default(),
        };
        (key, Self::default())
    }

    fn draw(key: &LogKey, random: &Random, fresh: u32) -> LogCall {
        let mut known = key.known.lock().unwrap();
        let received: Vec<_> = known.received.iter().copied().collect();
        match random.below(100) {
            0..1 => LogCall::DeleteRoom,
            1..6 => LogCall::Clear,
            6..12 if known.joined < key.joiners.len() => {
                known.joined += 1;
                LogCall::Join(known.joined - 1)
            }
            6..40 => LogCall::Send(fresh),
            40..55 if !received.is_empty() => LogCall::After(*random.pick(&received)),
            40..65 => LogCall::Recent,
            _ => LogCall::All,
        }
    }

    async fn run(r: &Repositories, key: &LogKey, call: LogCall) -> Result<Self::Outcome> {
        let rows = |messages: Page| messages.iter().map(|message| key.row(message)).collect();
        match call {
            LogCall::Send(number) => value(
                r.messages
                    .append(NewMessage::from_user(key.room, number.to_string()))
                    .await
                    .map(|sent| rows(vec![sent].into())),
            ),
            LogCall::Join(joiner) => {
                let added = r.rooms.add_member(key.room, key.joiners[joiner]).await;
                value(added.map(|added| rows(added.message.into_iter().collect())))
            }
            LogCall::Clear => done(r.messages.clear(key.room).await),
            LogCall::DeleteRoom => done(r.rooms.delete(key.room).await),
            LogCall::After(text) => {
                let after = key.known.lock().unwrap().ids[&text];
                Ok(Outcome::Value(rows(
                    r.messages.since(key.room, after, 1_000).await?,
                )))
            }
            LogCall::All => Ok(Outcome::Value(rows(
                r.messages.since(key.room, MessageId(0), 1_000).await?,
            ))),
            LogCall::Recent => Ok(Outcome::Value(rows(
                r.messages.recent(key.room, None, 1_000).await?,
            ))),
        }
    }

    fn record_outcome(key: &LogKey, outcome: &Self::Outcome) {
        if let Outcome::Value(rows) = outcome {
            key.known
                .lock()
                .unwrap()
                .received
                .extend(rows.iter().map(|(text, _)| *text));
        }
    }

    fn invalidate(cache: &Cache, key: &LogKey) {
        cache.invalidate_room(key.room);
    }
}

impl LogKey {
    /// Converts a message to a row of the model, and records the message's id.
    fn row(&self, message: &Message) -> (LogText, i64) {
        let text = match message.content.strip_suffix(" joined the chat") {
            Some(name) => LogText::Joined(usize::try_from(number(name)).unwrap()),
            None => LogText::Sent(number(&message.content)),
        };
        self.known.lock().unwrap().ids.insert(text, message.id);
        (text, message.seq.0)
    }
}
