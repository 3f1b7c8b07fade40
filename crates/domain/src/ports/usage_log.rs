//! The port of the tokens that answers used.

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::{Result, UsageKey, UsageRecord, UsageSum, UserId};

/// The tokens that answers used, by day, owner, room, agent and model.
///
/// Records stay when their room or agent is deleted. A store may delete records of days that are
/// more than a year ago.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentId, RoomId, Usage, UsageKey, UsageRecord, UserId};
///
/// let log = contract::memory::repositories().usage;
/// let record = UsageRecord {
///     day: "2026-11-30".parse().expect("this is a day"),
///     owner: UserId::parse("guest-1")?,
///     room: RoomId(7),
///     agent: AgentId(3),
///     model: "llama".into(),
///     usage: Usage { input: 900, output: 100, cached: 0, requests: 1 },
/// };
/// log.add(record.clone()).await?;
/// log.add(record.clone()).await?;
/// assert_eq!(log.tokens(record.day, Some(record.owner.clone())).await?, 2_000);
/// let models = log.sums(UsageKey::Model, record.day, None, 10).await?;
/// assert_eq!((models[0].value.as_str(), models[0].usage.requests), ("llama", 2));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UsageLog: Send + Sync {
    /// Adds the usage of an answer. It MUST be added to what was recorded before with the same day,
    /// owner, room, agent and model.
    async fn add(&self, record: UsageRecord) -> Result<()>;
    /// Returns the number of tokens of prompts and answers on one day: in the rooms of `owner`, or
    /// in all rooms if it is `None`.
    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64>;
    /// Adds up the usage from the day `since` on, in the rooms of `owner` or in all rooms, for each
    /// value of the field `key`. Returns at most `limit` sums. Those with the most tokens MUST come
    /// first; sums with equally many have any order.
    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>>;
}
