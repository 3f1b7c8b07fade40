//! The port `UsageLog`.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
};

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::{Result, Usage, UsageKey, UsageLog, UsageRecord, UsageSum, UserId};
use redb::ReadTransaction;

use crate::{database_file::TxResult, store::RedbStore, tables::USAGE};

/// Returns the records from a day on, of one owner or of all.
fn records(
    tx: &ReadTransaction,
    since: NaiveDate,
    owner: Option<&UserId>,
) -> TxResult<Vec<UsageRecord>> {
    let day = since.to_string();
    let span = (Included((day.as_str(), "", 0, 0, "")), Unbounded);
    let mut records = USAGE.first(tx, span, usize::MAX)?;
    records.retain(|record| owner.is_none_or(|owner| record.owner == *owner));
    Ok(records)
}

#[async_trait]
impl UsageLog for RedbStore {
    async fn add(&self, record: UsageRecord) -> Result<()> {
        self.write(move |tx| {
            let day = record.day.to_string();
            let key = (
                day.as_str(),
                record.owner.as_str(),
                record.room.0,
                record.agent.0,
                record.model.as_str(),
            );
            let mut sum = record.clone();
            if let Some(before) = USAGE.get(tx, key)? {
                sum.usage += before.usage;
            }
            USAGE.insert(tx, key, &sum)
        })
        .await
    }

    async fn tokens(&self, day: NaiveDate, owner: Option<UserId>) -> Result<u64> {
        self.read(move |tx| {
            let records = records(tx, day, owner.as_ref())?.into_iter();
            let of_day = records.filter(|record| record.day == day);
            Ok(of_day.map(|record| record.usage.tokens()).sum())
        })
        .await
    }

    async fn sums(
        &self,
        key: UsageKey,
        since: NaiveDate,
        owner: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UsageSum>> {
        self.read(move |tx| {
            let mut sums: BTreeMap<String, Usage> = BTreeMap::new();
            for record in records(tx, since, owner.as_ref())? {
                *sums.entry(key.value(&record)).or_default() += record.usage;
            }
            let sums = sums.into_iter();
            let mut sums: Vec<_> = sums
                .map(|(value, usage)| UsageSum { value, usage })
                .collect();
            sums.sort_by_key(|sum| Reverse(sum.usage.tokens()));
            sums.truncate(limit);
            Ok(sums)
        })
        .await
    }
}
