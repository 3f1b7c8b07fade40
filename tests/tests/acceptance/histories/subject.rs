//! What histories are about: keys of the cached store, each as it behaves alone.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
};

use cache_adapter::Cache;
use domain::{
    AgentConfig, AgentId, AgentName, Error, NewAgent, NewRoom, Repositories, Result, RoomId,
    RoomName, UserId,
};
use tests::{linear::Object, random::Random};

/// A kind of key: its calls, what they answer, and the state that they leave.
pub(crate) trait Subject:
    Object<Call: Clone + Send + Sync, Answer: Clone + Send> + Debug + Send + 'static
{
    /// What stands behind a key.
    type Key: Clone + Send + Sync + 'static;

    /// Makes a key that nothing was done to.
    fn make(stage: &Stage) -> impl Future<Output = (Self::Key, Self)> + Send;

    /// The next call; `fresh` is a number that no other call has.
    fn draw(key: &Self::Key, random: &Random, fresh: u32) -> Self::Call;

    /// Runs a call. What is missing is an answer, too.
    fn run(
        r: &Repositories,
        key: &Self::Key,
        call: Self::Call,
    ) -> impl Future<Output = Result<Self::Answer>> + Send;

    /// Somebody got this answer.
    fn learn(_key: &Self::Key, _answer: &Self::Answer) {}

    /// Takes the key out by hand.
    fn invalidate(cache: &Cache, key: &Self::Key);
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer<T> {
    Is(T),
    Done,
    /// There is no such thing.
    Gone,
}

/// The answer of a write that returns something.
pub(crate) fn told<T>(result: Result<T>) -> Result<Answer<T>> {
    match result {
        Ok(value) => Ok(Answer::Is(value)),
        Err(Error::Missing { .. }) => Ok(Answer::Gone),
        Err(other) => Err(other),
    }
}

/// The answer of a write whose value says no more.
pub(crate) fn done<T, U>(result: Result<T>) -> Result<Answer<U>> {
    Ok(match told(result)? {
        Answer::Is(_) | Answer::Done => Answer::Done,
        Answer::Gone => Answer::Gone,
    })
}

/// The answer of a read.
pub(crate) fn found<T>(value: Option<T>) -> Answer<T> {
    value.map_or(Answer::Gone, Answer::Is)
}

/// A store, and what the keys of all rounds share.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) r: Repositories,
    /// Named `Walker 0`, `Walker 1`, …
    pub(crate) walkers: Vec<AgentId>,
}

impl Stage {
    pub(crate) async fn new(r: Repositories) -> Self {
        let mut stage = Self {
            r,
            walkers: Vec::new(),
        };
        for number in 0..4 {
            let walker = stage.agent(|| format!("Walker {number}")).await;
            stage.walkers.push(walker);
        }
        stage
    }

    /// A number that nothing else is named by.
    pub(crate) fn unique() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn user() -> UserId {
        UserId::parse(&format!("guest-{:x}", Self::unique())).unwrap()
    }

    /// An agent that is named anew at each attempt.
    pub(crate) async fn agent(&self, name: impl Fn() -> String + Send + Sync) -> AgentId {
        made(|| {
            let name = AgentName::parse(&name()).unwrap();
            self.r.agents.create(NewAgent {
                name,
                group: None,
                config: AgentConfig::default(),
                picture: None,
            })
        })
        .await
        .id
    }

    /// A room of an owner of its own.
    pub(crate) async fn room(&self) -> RoomId {
        made(|| {
            self.r.rooms.create(NewRoom {
                owner: Self::user(),
                name: numbered(0),
                max_interactions: None,
            })
        })
        .await
        .id
    }
}

/// Tries until it is made: a server that settles another round's write may end the connection that this one has.
async fn made<T, F: Future<Output = Result<T>> + Send>(make: impl Fn() -> F + Send) -> T {
    loop {
        match make().await {
            Ok(value) => return value,
            Err(Error::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The room name of a number.
pub(crate) fn numbered(number: u32) -> RoomName {
    RoomName::parse(&format!("room {number}")).unwrap()
}

/// The number in a text's last word.
pub(crate) fn number(text: &str) -> u32 {
    text.rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("all texts end with a number")
}
