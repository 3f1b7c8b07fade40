//! The tokens that answers use: of one request, and in sums over days, owners, rooms, agents and
//! models.

use chrono::NaiveDate;

use crate::{AgentId, RoomId, UserId};

/// The number of tokens that a model has read and written, and of requests to its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The tokens of the prompt, including `cached`.
    pub input: u64,
    /// The tokens of the answer, including thoughts.
    pub output: u64,
    /// The tokens of the prompt that the server had kept from an earlier one.
    pub cached: u64,
    /// The requests to the server: one, and one for each attempt that failed before it.
    pub requests: u64,
}

impl Usage {
    /// Returns the number of tokens that count against a budget: those of prompts and answers.
    ///
    /// ```
    /// let usage = domain::Usage { input: 90, output: 10, cached: 80, requests: 1 };
    /// assert_eq!(usage.tokens(), 100);
    /// ```
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.requests = self.requests.saturating_add(other.requests);
    }
}

/// The usage of one answer, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// The day on which the answer ended, in UTC.
    pub day: NaiveDate,
    /// The owner of the room.
    pub owner: UserId,
    /// The room in which the agent answered.
    pub room: RoomId,
    /// The agent that answered.
    pub agent: AgentId,
    /// The name of the model.
    pub model: String,
    /// The tokens and requests.
    pub usage: Usage,
}

/// The field by which [`UsageLog::sums`](crate::UsageLog::sums) adds records up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is the field of its name in `UsageRecord`"
)]
pub enum UsageKey {
    Day,
    Owner,
    Room,
    Agent,
    Model,
}

impl UsageKey {
    /// All fields.
    pub const ALL: [Self; 5] = [Self::Day, Self::Owner, Self::Room, Self::Agent, Self::Model];

    /// Returns the field's value as text: the day as `2026-11-30`, and an id as a number.
    ///
    /// ```
    /// # fn main() -> domain::Result<()> {
    /// use domain::{AgentId, RoomId, Usage, UsageKey, UsageRecord, UserId};
    ///
    /// let record = UsageRecord {
    ///     day: "2026-11-30".parse().expect("this is a day"),
    ///     owner: UserId::parse("guest-1")?,
    ///     room: RoomId(7),
    ///     agent: AgentId(3),
    ///     model: "llama".into(),
    ///     usage: Usage::default(),
    /// };
    /// let values = UsageKey::ALL.map(|key| key.value(&record));
    /// assert_eq!(values, ["2026-11-30", "guest-1", "7", "3", "llama"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value(self, record: &UsageRecord) -> String {
        match self {
            Self::Day => record.day.to_string(),
            Self::Owner => record.owner.to_string(),
            Self::Room => record.room.to_string(),
            Self::Agent => record.agent.to_string(),
            Self::Model => record.model.clone(),
        }
    }
}

/// The sum of the records that have one value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageSum {
    /// The value, as [`UsageKey::value`] returns it.
    pub value: String,
    /// The sum.
    pub usage: Usage,
}
