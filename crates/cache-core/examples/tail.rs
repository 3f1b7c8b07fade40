//! The newest messages of a chat room: an append updates the copy in memory, so that a busy room is
//! read from the source once.
//!
//! Run it with `cargo run -p greenroom-cache-core --example tail`.

use std::{
    collections::VecDeque,
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_core::{Fold, LoadError, Manager, Policy, Runtime, TailRead, TailRegion};
use cache_core::{Unknown, Written};

/// How many messages a copy holds.
const KEPT: usize = 10;
/// The one room of this program.
const ROOM: u64 = 1;

/// The newest messages of a room, oldest first.
struct Newest(VecDeque<String>);

impl Fold for Newest {
    type Entry = String;

    fn apply(&mut self, _seq: u64, message: &String) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(message.clone());
    }
}

/// A chat whose source is a list of messages. The sequence number of a message is its position,
/// from 1.
#[derive(Clone)]
struct Chat {
    source: Arc<Mutex<Vec<String>>>,
    manager: Manager,
    tails: TailRegion<u64, Newest>,
}

impl Chat {
    async fn post(&self, message: &str) -> Result<u64, Box<dyn Error>> {
        let (source, message) = (self.source.clone(), message.to_owned());
        let insert = async move {
            let mut messages = source.lock().unwrap();
            messages.push(message.clone());
            Written::<_, Infallible>::Committed((messages.len() as u64, message))
        };
        let guard = self.manager.guard();
        let guard = guard.append(&self.tails, ROOM, |row: &(u64, String)| [row.clone()]);
        Ok(guard.run(insert).await?.0)
    }

    /// Returns the last `count` messages, newest first.
    async fn newest(&self, count: usize) -> Result<Vec<String>, LoadError<Infallible>> {
        let source = self.source.clone();
        // One snapshot: the highest sequence number, and a copy that reaches it.
        let fill = || async move {
            let messages = source.lock().unwrap();
            let first = messages.len().saturating_sub(KEPT);
            let copy = Newest(messages[first..].iter().cloned().collect());
            Ok(Some((messages.len() as u64, copy)))
        };
        // `None`: the copy is too short to answer.
        let read = move |copy: &Newest| {
            let newest = copy.0.iter().rev().take(count).cloned();
            (count <= KEPT).then(|| newest.collect())
        };
        match self.tails.get_or_fill(ROOM, fill, read).await? {
            TailRead::Found(read) => Ok(read.value.unwrap_or_default()),
            TailRead::Absent(_) => Ok(Vec::new()),
            TailRead::Elsewhere => {
                let messages = self.source.lock().unwrap();
                // Before the messages are returned: no older copy may be served afterwards.
                self.tails.saw(&ROOM, messages.len() as u64);
                Ok(messages.iter().rev().take(count).cloned().collect())
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 1_000);
    let chat = Chat {
        source: Arc::default(),
        tails: manager.tail_region("tails", policy, 1),
        manager,
    };
    for number in 1..=20 {
        assert_eq!(chat.post(&format!("message {number}")).await?, number);
        let newest = chat.newest(3).await?;
        assert_eq!(newest[0], format!("message {number}"));
    }
    assert_eq!(chat.newest(2).await?, ["message 20", "message 19"]);
    assert_eq!(chat.newest(15).await?.last().unwrap(), "message 6");

    let stats = chat.tails.region().stats();
    assert_eq!((stats.loads, stats.hits), (1, 20));
    println!("20 posts and 22 reads needed {} fill", stats.loads);
    Ok(())
}
