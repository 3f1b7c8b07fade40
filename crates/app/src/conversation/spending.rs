//! The cost of answers: budgets are checked before a model is asked, and its tokens are stored.

use chrono::Utc;
use domain::{AgentId, Room, Usage, UsageRecord, UserId};

use super::{engine::Engine, pauses::Pauses};
use crate::settings::AnswerLimits;

/// Counts a prompt for an agent in this room. Returns the reason if a budget forbids it.
pub(super) async fn spend(
    engine: &Engine,
    room: &Room,
) -> domain::Result<Result<(), &'static str>> {
    let AnswerLimits {
        guest_asks_per_minute,
        guest_tokens_per_day,
        tokens_per_day,
        ..
    } = engine.limits;
    let (usage, day) = (&engine.ports.usage, Utc::now().date_naive());
    let is_used = |tokens: u64, most: u64| most > 0 && tokens >= most;
    if tokens_per_day > 0 && is_used(usage.tokens(day, None).await?, tokens_per_day) {
        return Ok(Err(
            "the tokens of all rooms for today are used up; agents go on tomorrow",
        ));
    }
    if room.owner == UserId::admin() {
        return Ok(Ok(()));
    }
    if guest_tokens_per_day > 0 {
        let tokens = usage.tokens(day, Some(room.owner.clone())).await?;
        if is_used(tokens, guest_tokens_per_day) {
            return Ok(Err(
                "the tokens of this guest for today are used up; agents go on tomorrow",
            ));
        }
    }
    let asks = &engine.minute_asks;
    if guest_asks_per_minute > 0 && !asks.count(&engine.clock, &room.owner, guest_asks_per_minute) {
        return Ok(Err(
            "the answers of this guest for this minute are used up; agents go on in a minute",
        ));
    }
    Ok(Ok(()))
}

/// The tokens of one turn. They are stored when the turn ends, also if its task is dropped.
pub(super) struct TurnUsage<'a> {
    engine: &'a Engine,
    record: Option<UsageRecord>,
    /// The tokens of the prompts before the present one.
    earlier: Usage,
}

impl<'a> TurnUsage<'a> {
    pub(super) fn new(engine: &'a Engine, room: &Room, agent: AgentId, model: &str) -> Self {
        let record = UsageRecord {
            day: Utc::now().date_naive(),
            owner: room.owner.clone(),
            room: room.id,
            agent,
            model: model.to_owned(),
            usage: Usage::default(),
        };
        Self {
            engine,
            record: Some(record),
            earlier: Usage::default(),
        }
    }

    /// Begins another prompt, whose tokens are added to those before.
    pub(super) fn begin_ask(&mut self) {
        if let Some(record) = &self.record {
            self.earlier = record.usage;
        }
    }

    /// Sets the tokens of the present prompt so far.
    pub(super) fn set(&mut self, usage: Usage) {
        if let Some(record) = &mut self.record {
            record.usage = self.earlier;
            record.usage += usage;
        }
    }

    /// Stores the tokens. So the next check of a budget sees them.
    pub(super) async fn store(mut self) {
        let Some(record) = self.take() else {
            return;
        };
        let added = self.engine.ports.usage.add(record.clone()).await;
        if added.is_err_and(|error| !error.may_be_applied()) {
            store_in_task(self.engine, record);
        }
    }

    fn take(&mut self) -> Option<UsageRecord> {
        let record = self.record.take();
        let mut record = record.filter(|record| record.usage != Usage::default())?;
        record.day = Utc::now().date_naive();
        Some(record)
    }
}

impl Drop for TurnUsage<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.take() {
            store_in_task(self.engine, record);
        }
    }
}

/// Stores tokens in a task. Tries again after a failure, until the server stops. A write of unknown
/// outcome is not repeated, because it may have happened.
fn store_in_task(engine: &Engine, record: UsageRecord) {
    let (ports, clock) = (engine.ports.clone(), engine.clock.clone());
    let stopping = engine.stopping.clone();
    engine.tasks.spawn(async move {
        let mut pauses = Pauses::default();
        while let Err(error) = ports.usage.add(record.clone()).await {
            tracing::warn!(%error, "cannot store the tokens of an answer");
            if error.may_be_applied() {
                return;
            }
            tokio::select! {
                () = clock.sleep(pauses.next()) => {}
                () = stopping.cancelled() => return,
            }
        }
    });
}
