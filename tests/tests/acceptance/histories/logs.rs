//! A room's messages, and its activity.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use cache_adapter::Cache;
use domain::{AgentId, Message, MessageId, NewMessage, Page, Repositories, Result, RoomId};
use tests::{linear::Object, random::Random};

use super::subject::{Answer, Stage, Subject, done, found, number, told};

/// Every message of a room, those that were cleared too, by text and place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Log {
    rows: Vec<(Text, i64)>,
    cleared: usize,
    last: i64,
    is_gone: bool,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Text {
    Said(u32),
    Joined(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum LogCall {
    Say(u32),
    /// Each walker joins once, so that nothing else of the room decides what the log says.
    Join(usize),
    Clear,
    DeleteRoom,
    /// What stands behind a message that somebody has seen.
    After(Text),
    All,
    Recent,
}

/// A room, and what is known of it.
#[derive(Clone)]
pub(crate) struct LogKey {
    room: RoomId,
    walkers: Arc<[AgentId]>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
pub(crate) struct Known {
    ids: BTreeMap<Text, MessageId>,
    /// Those that somebody has seen.
    seen: BTreeSet<Text>,
    joined: usize,
}

impl Log {
    fn append(&mut self, text: Text) -> (Text, i64) {
        self.last += 1;
        self.rows.push((text, self.last));
        (text, self.last)
    }
}

impl Object for Log {
    type Call = LogCall;
    type Answer = Answer<Vec<(Text, i64)>>;

    fn apply(&mut self, call: &LogCall) -> Self::Answer {
        match call {
            LogCall::After(text) => match self.rows.iter().position(|(row, _)| row == text) {
                Some(at) => Answer::Is(self.rows[self.cleared.max(at + 1)..].to_vec()),
                // Nobody can have seen it yet.
                None => Answer::Gone,
            },
            LogCall::All | LogCall::Recent => Answer::Is(self.rows[self.cleared..].to_vec()),
            LogCall::Say(_) | LogCall::Join(_) | LogCall::Clear | LogCall::DeleteRoom
                if self.is_gone =>
            {
                Answer::Gone
            }
            LogCall::Say(number) => Answer::Is(vec![self.append(Text::Said(*number))]),
            LogCall::Join(_) if self.rows.len() == self.cleared => Answer::Is(Vec::new()),
            LogCall::Join(who) => Answer::Is(vec![self.append(Text::Joined(*who))]),
            LogCall::Clear => {
                self.last += 1;
                self.cleared = self.rows.len();
                Answer::Done
            }
            LogCall::DeleteRoom => {
                (self.cleared, self.is_gone) = (self.rows.len(), true);
                Answer::Done
            }
        }
    }

    fn is_read(call: &LogCall) -> bool {
        matches!(call, LogCall::After(_) | LogCall::All | LogCall::Recent)
    }
}

impl Subject for Log {
    type Key = LogKey;

    async fn make(stage: &Stage) -> (LogKey, Self) {
        let key = LogKey {
            room: stage.room().await,
            walkers: stage.walkers.clone().into(),
            known: Arc::default(),
        };
        (key, Self::default())
    }

    fn draw(key: &LogKey, random: &Random, fresh: u32) -> LogCall {
        let mut known = key.known.lock().unwrap();
        let seen: Vec<_> = known.seen.iter().copied().collect();
        match random.below(100) {
            0..1 => LogCall::DeleteRoom,
            1..6 => LogCall::Clear,
            6..12 if known.joined < key.walkers.len() => {
                known.joined += 1;
                LogCall::Join(known.joined - 1)
            }
            6..40 => LogCall::Say(fresh),
            40..55 if !seen.is_empty() => LogCall::After(*random.pick(&seen)),
            40..65 => LogCall::Recent,
            _ => LogCall::All,
        }
    }

    async fn run(r: &Repositories, key: &LogKey, call: LogCall) -> Result<Self::Answer> {
        let rows = |messages: Page| messages.iter().map(|message| key.row(message)).collect();
        match call {
            LogCall::Say(number) => told(
                r.messages
                    .append(NewMessage::from_user(key.room, number.to_string()))
                    .await
                    .map(|said| rows(vec![said].into())),
            ),
            LogCall::Join(who) => {
                let added = r.rooms.add_member(key.room, key.walkers[who]).await;
                told(added.map(|added| rows(added.message.into_iter().collect())))
            }
            LogCall::Clear => done(r.messages.clear(key.room).await),
            LogCall::DeleteRoom => done(r.rooms.delete(key.room).await),
            LogCall::After(text) => {
                let after = key.known.lock().unwrap().ids[&text];
                Ok(Answer::Is(rows(
                    r.messages.since(key.room, after, 1_000).await?,
                )))
            }
            LogCall::All => Ok(Answer::Is(rows(
                r.messages.since(key.room, MessageId(0), 1_000).await?,
            ))),
            LogCall::Recent => Ok(Answer::Is(rows(
                r.messages.recent(key.room, None, 1_000).await?,
            ))),
        }
    }

    fn learn(key: &LogKey, answer: &Self::Answer) {
        if let Answer::Is(rows) = answer {
            key.known
                .lock()
                .unwrap()
                .seen
                .extend(rows.iter().map(|(text, _)| *text));
        }
    }

    fn invalidate(cache: &Cache, key: &LogKey) {
        cache.invalidate_room(key.room);
    }
}

impl LogKey {
    fn row(&self, message: &Message) -> (Text, i64) {
        let text = match message.content.strip_suffix(" joined the chat") {
            Some(name) => Text::Joined(usize::try_from(number(name)).unwrap()),
            None => Text::Said(number(&message.content)),
        };
        self.known.lock().unwrap().ids.insert(text, message.id);
        (text, message.seq.0)
    }
}

/// The last place in a room's log, of a message that stands, and of a user's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Activity(Option<(i64, i64, i64)>);

#[derive(Clone, Debug)]
pub(crate) enum ActivityCall {
    Say(u32),
    /// The system does.
    Note(u32),
    Clear,
    DeleteRoom,
    Find,
    FindMany,
}

impl Object for Activity {
    type Call = ActivityCall;
    type Answer = Answer<(i64, i64, i64)>;

    fn apply(&mut self, call: &ActivityCall) -> Self::Answer {
        let Some((last, message, user)) = &mut self.0 else {
            return Answer::Gone;
        };
        match call {
            ActivityCall::Find | ActivityCall::FindMany => {
                return Answer::Is((*last, *message, *user));
            }
            ActivityCall::Say(_) => (*last, *message, *user) = (*last + 1, *last + 1, *last + 1),
            ActivityCall::Note(_) => (*last, *message) = (*last + 1, *last + 1),
            ActivityCall::Clear => (*last, *message) = (*last + 1, 0),
            ActivityCall::DeleteRoom => self.0 = None,
        }
        Answer::Done
    }

    fn is_read(call: &ActivityCall) -> bool {
        matches!(call, ActivityCall::Find | ActivityCall::FindMany)
    }
}

impl Subject for Activity {
    type Key = RoomId;

    async fn make(stage: &Stage) -> (RoomId, Self) {
        (stage.room().await, Self(Some((0, 0, 0))))
    }

    fn draw(_: &RoomId, random: &Random, fresh: u32) -> ActivityCall {
        match random.below(100) {
            0..2 => ActivityCall::DeleteRoom,
            2..7 => ActivityCall::Clear,
            7..17 => ActivityCall::Note(fresh),
            17..42 => ActivityCall::Say(fresh),
            42..55 => ActivityCall::FindMany,
            _ => ActivityCall::Find,
        }
    }

    async fn run(r: &Repositories, room: &RoomId, call: ActivityCall) -> Result<Self::Answer> {
        let seen = |activity: Arc<domain::Activity>| {
            (
                activity.last_seq.0,
                activity.last_message_seq.0,
                activity.last_user_seq.0,
            )
        };
        match call {
            ActivityCall::Say(number) => done(
                r.messages
                    .append(NewMessage::from_user(*room, number.to_string()))
                    .await,
            ),
            ActivityCall::Note(number) => done(
                r.messages
                    .append(NewMessage::from_system(*room, number.to_string()))
                    .await,
            ),
            ActivityCall::Clear => done(r.messages.clear(*room).await),
            ActivityCall::DeleteRoom => done(r.rooms.delete(*room).await),
            ActivityCall::Find => Ok(found(r.rooms.activity(*room).await?.map(seen))),
            ActivityCall::FindMany => Ok(found(
                r.rooms
                    .activities(&[*room])
                    .await?
                    .pop()
                    .map(|(_, activity)| seen(activity)),
            )),
        }
    }

    fn invalidate(cache: &Cache, room: &RoomId) {
        cache.invalidate_room(*room);
    }
}
