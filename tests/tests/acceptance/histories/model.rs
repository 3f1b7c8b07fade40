//! The kinds of keys in the cached store. Each kind has a model of its data, whose calls run one at
//! a time.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
};

use cache_adapter::Cache;
use domain::{AgentId, Error, Repositories, Result, RoomId, RoomName, UserId};
use tests::{
    linearizability::SequentialModel,
    random::Random,
    records::{new_agent, new_room, user},
};

/// The model of one kind of key: its calls, their outcomes, and the state of its data.
pub(crate) trait KeyModel:
    SequentialModel<Call: Clone + Send + Sync, Outcome: Clone + Send> + Debug + Send + 'static
{
    /// A key, with the data that its calls need.
    type Key: Clone + Send + Sync + 'static;

    /// Creates a key, and returns it with the initial state of its model.
    fn create(world: &HistoryWorld) -> impl Future<Output = (Self::Key, Self)> + Send;

    /// Draws a random call. `fresh` is a number that no other call receives.
    fn draw(key: &Self::Key, random: &Random, fresh: u32) -> Self::Call;

    /// Runs a call. If the data does not exist, returns an outcome, not an error.
    fn run(
        r: &Repositories,
        key: &Self::Key,
        call: Self::Call,
    ) -> impl Future<Output = Result<Self::Outcome>> + Send;

    /// Records that a client received this outcome. By default, does nothing.
    fn record_outcome(_key: &Self::Key, _outcome: &Self::Outcome) {}

    /// Invalidates the cached data of the key, as an administrator can.
    fn invalidate(cache: &Cache, key: &Self::Key);
}

/// The outcome of a call, as the model and the store return it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome<T> {
    Value(T),
    /// The write succeeded.
    Done,
    /// The data does not exist.
    Missing,
}

/// Returns the outcome of a write whose result is a row that the checker compares.
pub(crate) fn value<T>(result: Result<T>) -> Result<Outcome<T>> {
    match result {
        Ok(value) => Ok(Outcome::Value(value)),
        Err(Error::Missing { .. }) => Ok(Outcome::Missing),
        Err(other) => Err(other),
    }
}

/// Returns the outcome of a write whose result is not compared.
pub(crate) fn done<T, U>(result: Result<T>) -> Result<Outcome<U>> {
    Ok(match value(result)? {
        Outcome::Value(_) | Outcome::Done => Outcome::Done,
        Outcome::Missing => Outcome::Missing,
    })
}

/// Returns the outcome of a read; [`Outcome::Missing`] if it found nothing.
pub(crate) fn found<T>(value: Option<T>) -> Outcome<T> {
    value.map_or(Outcome::Missing, Outcome::Value)
}

/// A store, with agents that the keys of all rounds share.
#[derive(Clone)]
pub(crate) struct HistoryWorld {
    pub(crate) r: Repositories,
    /// Agents that join rooms, named `Joiner 0`, `Joiner 1`, …
    pub(crate) joiners: Vec<AgentId>,
}

impl HistoryWorld {
    pub(crate) async fn new(r: Repositories) -> Self {
        let mut world = Self {
            r,
            joiners: Vec::new(),
        };
        for number in 0..4 {
            let joiner = world.create_agent(|| format!("Joiner {number}")).await;
            world.joiners.push(joiner);
        }
        world
    }

    /// Returns a number that is unique in this process, for use in names.
    pub(crate) fn unique_number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only the number's uniqueness matters.
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the id of a new user, who has no rooms.
    pub(crate) fn new_user() -> UserId {
        user(&format!("guest-{:x}", Self::unique_number()))
    }

    /// Creates an agent, and repeats failed attempts. `name` returns the name for each attempt.
    pub(crate) async fn create_agent(&self, name: impl Fn() -> String + Send + Sync) -> AgentId {
        let create = || self.r.agents.create(new_agent(&name()));
        retry_while_unavailable(create).await.id
    }

    /// Creates a room of a new user, named `room 0`.
    pub(crate) async fn create_room(&self) -> RoomId {
        let create = || self.r.rooms.create(new_room(Self::new_user(), "room 0"));
        retry_while_unavailable(create).await.id
    }
}

/// Repeats a write until it succeeds.
///
/// When a PostgreSQL store settles a write of another round, it may end connections, including the
/// one that this write uses.
async fn retry_while_unavailable<T, F>(write: impl Fn() -> F + Send) -> T
where
    F: Future<Output = Result<T>> + Send,
{
    loop {
        match write().await {
            Ok(value) => return value,
            Err(Error::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns the room name with this number.
pub(crate) fn room_name(number: u32) -> RoomName {
    tests::records::room_name(&format!("room {number}"))
}

/// Returns the number that is the last word of a text.
pub(crate) fn number(text: &str) -> u32 {
    text.rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("{text:?} does not end with a number"))
}
