//! The port `UsageLog`, which is not cached: it is written with each answer, and seldom read.

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::{Repositories, Result, UsageKey, UsageLog, UsageRecord, UsageSum, UserId};

use crate::{ports::CachedPorts, stale::Write};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl UsageLog for CachedPorts {
    async fn add(&self, record: UsageRecord) -> Result<()> {
        let run = move |bare: Repositories| async move { bare.usage.add(record).await };
        self.write(Write::AddUsage, run).await
    }

    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64> {
        self.bypass(self.bare().usage.tokens(day, owner)).await
    }

    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>> {
        self.bypass(self.bare().usage.sums(key, since, owner, limit))
            .await
    }
}
