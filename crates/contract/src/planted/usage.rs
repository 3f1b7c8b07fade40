//! Faults of the tokens that answers used.

use async_trait::async_trait;
use chrono::NaiveDate;

use super::{Planted, PlantedFault};
use crate::{memory::usage::is_same_row, pause::pause};
use domain::{Result, UsageKey, UsageLog, UsageRecord, UsageSum, UserId};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl UsageLog for Planted {
    async fn add(&self, mut record: UsageRecord) -> Result<()> {
        let find = || {
            let tables = self.tables();
            let row = tables.usage.iter().find(|row| is_same_row(row, &record));
            row.cloned()
        };
        let before = find();
        match self.fault {
            PlantedFault::UsageReplacesTheRecord => {
                self.tables().usage.retain(|row| !is_same_row(row, &record));
            }
            PlantedFault::UsageIsNotAtomic => {
                pause().await;
                self.tables().usage.retain(|row| !is_same_row(row, &record));
                self.tables().usage.extend(before);
            }
            PlantedFault::UsageForgetsCachedTokens => record.usage.cached = 0,
            _ => {}
        }
        self.memory.add(record).await
    }

    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64> {
        match self.fault {
            PlantedFault::TokensOfAnyOwner => self.memory.tokens(day, None).await,
            PlantedFault::TokensOfAllDays => {
                let tables = self.tables();
                let is_of =
                    |row: &&UsageRecord| owner.as_ref().is_none_or(|owner| row.owner == *owner);
                let rows = tables.usage.iter().filter(is_of);
                Ok(rows.map(|row| row.usage.tokens()).sum())
            }
            _ => self.memory.tokens(day, owner).await,
        }
    }

    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>> {
        let (mut since, mut owner, mut limit) = (since, owner, limit);
        match self.fault {
            PlantedFault::SumsOfAnyOwner => owner = None,
            PlantedFault::SumsIgnoreTheFirstDay => since = NaiveDate::MIN,
            PlantedFault::SumsIgnoreTheLimit => limit = usize::MAX,
            _ => {}
        }
        let mut sums = self.memory.sums(key, since, owner, limit).await?;
        if self.is(PlantedFault::SumsAreSmallestFirst) {
            sums.reverse();
        }
        Ok(sums)
    }
}
