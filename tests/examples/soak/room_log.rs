//! A room, and the messages that were written to it.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{Failure, program::Session};

/// The number of messages after which a room is deleted and another one created. The room 1 stays,
/// because the soak marks it as read to find out if the program writes.
const MOST_MESSAGES: usize = 3_000;

/// The pause between two messages.
const PAUSE: Duration = Duration::from_millis(5);

/// A room, with the texts that were acknowledged, and those whose outcome is unknown.
pub(crate) struct RoomLog {
    id: i64,
    texts: Vec<String>,
    unknown: HashSet<String>,
    /// The number of messages whose outcome was unknown.
    pub(crate) interrupted: usize,
    /// The number of acknowledged messages in this room and in the rooms before it.
    pub(crate) acknowledged: usize,
}

/// Returns a number that this process has not returned before.
fn next_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only the number's uniqueness matters.
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

async fn create(session: &Session) -> Result<i64, Failure> {
    let name = format!("room {}", next_number());
    let room = session
        .send(Method::POST, "/rooms", json!({ "name": name }))
        .await?;
    room["id"]
        .as_i64()
        .ok_or_else(|| "a room without an id".into())
}

impl RoomLog {
    pub(crate) async fn create(session: &Session) -> Result<Self, Failure> {
        Ok(Self {
            id: create(session).await?,
            texts: Vec::new(),
            unknown: HashSet::new(),
            interrupted: 0,
            acknowledged: 0,
        })
    }

    /// Writes messages until `stop` is set. Each acknowledged message must be in the next read.
    pub(crate) async fn write(
        &mut self,
        session: &Session,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let path = format!("/rooms/{}/messages/send", self.id);
        while !stop.load(Ordering::Relaxed) {
            let text = format!("message {}", next_number());
            let body = json!({ "content": text, "role": "user" });
            let Some(sent) = session.try_send(Method::POST, &path, &body).await else {
                self.unknown.insert(text);
                self.interrupted += 1;
                sleep(PAUSE).await;
                continue;
            };
            self.texts.push(text.clone());
            self.acknowledged += 1;
            let id = sent["id"].as_i64().unwrap_or_default();
            let poll = format!("/rooms/{}/messages/poll?since_id={}", self.id, id - 1);
            if let Some(found) = session.try_send(Method::GET, &poll, &Value::Null).await
                && contents(&found).first() != Some(&text)
            {
                return Err(format!("a stale read after {text:?}: {found}").into());
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Compares the stored messages with the acknowledged ones. Replaces the room if it is long.
    pub(crate) async fn verify(&mut self, session: &Session) -> Result<(), Failure> {
        let path = format!("/rooms/{}/messages", self.id);
        let stored = contents(&session.get(&path).await?);
        let known: Vec<_> = stored
            .iter()
            .filter(|text| !self.unknown.contains(*text))
            .collect();
        if !known.iter().copied().eq(&self.texts) {
            let lost = self.texts.iter().filter(|text| !stored.contains(text));
            let lost: Vec<_> = lost.take(5).collect();
            return Err(format!("room {}: the log differs; lost: {lost:?}", self.id).into());
        }
        if stored.iter().collect::<HashSet<_>>().len() != stored.len() {
            return Err(format!("room {}: a message is stored twice", self.id).into());
        }
        // From now on, the outcomes are known.
        self.texts = stored;
        self.unknown.clear();
        if self.texts.len() > MOST_MESSAGES && self.id != 1 {
            let path = format!("/rooms/{}", self.id);
            session.send(Method::DELETE, &path, Value::Null).await?;
            self.id = create(session).await?;
            self.texts.clear();
        }
        Ok(())
    }
}

/// Returns the texts of a list of messages.
fn contents(messages: &Value) -> Vec<String> {
    let messages = messages.as_array().into_iter().flatten();
    messages
        .filter_map(|message| message["content"].as_str().map(str::to_owned))
        .collect()
}
