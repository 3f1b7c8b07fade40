//! The tokens that answers used, in the in-memory backend.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;

use super::Memory;
use domain::{Result, Usage, UsageKey, UsageLog, UsageRecord, UsageSum, UserId};

/// Returns `true` if the records are of one day, owner, room, agent and model.
pub(crate) fn is_same_row(one: &UsageRecord, other: &UsageRecord) -> bool {
    UsageKey::ALL
        .iter()
        .all(|key| key.value(one) == key.value(other))
}

#[async_trait]
impl UsageLog for Memory {
    async fn add(&self, record: UsageRecord) -> Result<()> {
        let mut tables = self.tables();
        let row = tables
            .usage
            .iter_mut()
            .find(|row| is_same_row(row, &record));
        match row {
            Some(row) => row.usage += record.usage,
            None => tables.usage.push(record),
        }
        Ok(())
    }

    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64> {
        let tables = self.tables();
        let rows = tables.usage.iter().filter(|row| row.day == day);
        let rows = rows.filter(|row| owner.as_ref().is_none_or(|owner| row.owner == *owner));
        Ok(rows.map(|row| row.usage.tokens()).sum())
    }

    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>> {
        let tables = self.tables();
        let rows = tables.usage.iter().filter(|row| row.day >= since);
        let rows = rows.filter(|row| owner.as_ref().is_none_or(|owner| row.owner == *owner));
        let mut sums: BTreeMap<String, Usage> = BTreeMap::new();
        for row in rows {
            *sums.entry(key.value(row)).or_default() += row.usage;
        }
        let sums = sums.into_iter();
        let mut sums: Vec<_> = sums
            .map(|(value, usage)| UsageSum { value, usage })
            .collect();
        sums.sort_by_key(|sum| std::cmp::Reverse(sum.usage.tokens()));
        sums.truncate(limit);
        Ok(sums)
    }
}
