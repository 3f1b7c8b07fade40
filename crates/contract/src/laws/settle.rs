//! Laws of settling writes of unknown outcome, and of the store's health.

use domain::{AgentChange, NewMessage, Seq};
use futures_util::FutureExt as _;

use super::{
    ensure::{Outcome, ensure, ensure_eq, ensure_some},
    law_run::LawRun,
};
use crate::pause::pause;

pub(super) async fn settling_changes_nothing_that_was_acknowledged(run: LawRun) -> Outcome {
    let (room, agent) = (run.create_room("a").await?, run.create_agent("a").await?);
    run.say_many(room.id, 3).await?;
    let log = run.log(room.id).await?;
    run.ports.settle.settle().await?;
    run.ports.settle.settle().await?;
    ensure_eq("the log after settling", &run.log(room.id).await?, &log)?;
    run.ensure_room_shown(&room).await?;
    run.ensure_agent_shown(&agent).await
}

pub(super) async fn a_dropped_message_has_landed_when_settled_or_never_lands(
    run: LawRun,
) -> Outcome {
    let room = run.create_room("a").await?.id;
    run.say_many(room, 2).await?;
    let before = run.log(room).await?;
    let mut acknowledged = before.clone();
    // So many writes that a backend with a queue has not finished them when `settle` is called.
    for n in 0..64 {
        // The future is polled once, so the write begins. It is then dropped unless it is complete.
        let outcome = run
            .ports
            .messages
            .append(NewMessage::from_user(room, format!("dropped {n}")))
            .now_or_never();
        acknowledged.extend(outcome.transpose()?);
    }
    run.ports.settle.settle().await?;
    let settled = run.log(room).await?;
    let (activity, length) = (run.activity(room).await?, settled.len() as u64);
    ensure(
        acknowledged.iter().all(|message| settled.contains(message)),
        "an acknowledged message is not in the log",
    )?;
    ensure_eq(
        "the last sequence number of a room that was never cleared",
        &activity.last_seq.0.unsigned_abs(),
        &length,
    )?;
    for _ in 0..16 {
        pause().await;
        ensure_eq(
            "the log, read again after settling,",
            &run.log(room).await?,
            &settled,
        )?;
    }
    let next = run.say(room, "next").await?;
    ensure_eq(
        "the next message's sequence number",
        &next.seq,
        &Seq(activity.last_seq.0 + 1),
    )?;
    ensure_eq(
        "the log after the next message",
        &run.log(room).await?,
        &[settled, vec![next]].concat(),
    )
}

pub(super) async fn a_dropped_update_of_an_agent_is_whole_or_absent_when_settled(
    run: LawRun,
) -> Outcome {
    let old = run.create_agent("old").await?;
    let (old_config, new_name) = (run.persona(old.id).await?, run.agent_name("new")?);
    let change = AgentChange {
        name: Some(new_name.clone()),
        characteristics: Some("new".into()),
        ..AgentChange::default()
    };
    let outcome = run
        .ports
        .agents
        .update(old.id, change)
        .now_or_never()
        .transpose()?;
    run.ports.settle.settle().await?;
    let agent = ensure_some(
        "an agent whose update was dropped",
        run.ports.agents.find(old.id).await?,
    )?;
    run.ensure_agent_shown(&agent).await?;
    if let Some(updated) = outcome {
        ensure_eq("the agent whose update was acknowledged", &agent, &updated)?;
    }
    let config = run.persona(old.id).await?;
    if agent.name == new_name {
        ensure_eq(
            "the characteristics set together with the name",
            &config.characteristics,
            &"new".into(),
        )?;
    } else {
        ensure_eq("the agent whose update did not happen", &agent, &old)?;
        ensure_eq(
            "the persona whose update did not happen",
            &config,
            &old_config,
        )?;
    }
    pause().await;
    run.ensure_agent_shown(&agent).await?;
    ensure_eq(
        "the persona, read again after settling,",
        &run.persona(old.id).await?,
        &config,
    )
}

pub(super) async fn a_store_in_use_is_healthy(run: LawRun) -> Outcome {
    run.ports.health.check().await?;
    run.create_room("a").await?;
    Ok(run.ports.health.check().await?)
}
