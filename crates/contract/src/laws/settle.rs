//! Laws of settling writes of unknown outcome, and of the store's health.

use futures_util::FutureExt as _;

use super::stage::{Found, Stage, ensure, same, there};
use crate::pause::pause;
use domain::{AgentChange, NewMessage, Seq};

pub(super) async fn settling_changes_nothing_that_was_acknowledged(s: Stage) -> Found {
    let (room, agent) = (s.room("a").await?, s.agent("a").await?);
    s.chat(room.id, 3).await?;
    let log = s.log(room.id).await?;
    s.r.settle.settle().await?;
    s.r.settle.settle().await?;
    same("the log after settling", &s.log(room.id).await?, &log)?;
    s.shows_room(&room).await?;
    s.shows_agent(&agent).await
}

pub(super) async fn a_dropped_message_has_landed_when_settled_or_never_lands(s: Stage) -> Found {
    let room = s.room("a").await?.id;
    s.chat(room, 2).await?;
    let before = s.log(room).await?;
    let mut acknowledged = before.clone();
    for n in 0..3 {
        // Begun, and dropped where it first waits.
        let outcome =
            s.r.messages
                .append(NewMessage::from_user(room, format!("dropped {n}")))
                .now_or_never();
        acknowledged.extend(outcome.transpose()?);
    }
    s.r.settle.settle().await?;
    let settled = s.log(room).await?;
    let (activity, length) = (s.activity(room).await?, settled.len() as u64);
    ensure(
        acknowledged.iter().all(|message| settled.contains(message)),
        "an acknowledged message is not in the log",
    )?;
    same(
        "the last place, in a room that was never cleared,",
        &activity.last_seq.0.unsigned_abs(),
        &length,
    )?;
    for _ in 0..16 {
        pause().await;
        same(
            "the log, some time after settling,",
            &s.log(room).await?,
            &settled,
        )?;
    }
    let next = s.say(room, "next").await?;
    same(
        "the next message's place",
        &next.seq,
        &Seq(activity.last_seq.0 + 1),
    )?;
    same(
        "the log after the next message",
        &s.log(room).await?,
        &[settled, vec![next]].concat(),
    )
}

pub(super) async fn a_dropped_update_of_an_agent_is_whole_or_absent_when_settled(
    s: Stage,
) -> Found {
    let old = s.agent("old").await?;
    let (old_config, new_name) = (s.config(old.id).await?, s.agent_name("new")?);
    let change = AgentChange {
        name: Some(new_name.clone()),
        characteristics: Some("new".into()),
        ..AgentChange::default()
    };
    let outcome =
        s.r.agents
            .update(old.id, change)
            .now_or_never()
            .transpose()?;
    s.r.settle.settle().await?;
    let agent = there(
        "an agent whose update was dropped",
        s.r.agents.find(old.id).await?,
    )?;
    s.shows_agent(&agent).await?;
    if let Some(updated) = outcome {
        same("the agent whose update was acknowledged", &agent, &updated)?;
    }
    let config = s.config(old.id).await?;
    if agent.name == new_name {
        same(
            "the characteristics that came with the name",
            &config.characteristics,
            &"new".into(),
        )?;
    } else {
        same("the agent whose update did not happen", &agent, &old)?;
        same(
            "the persona whose update did not happen",
            &config,
            &old_config,
        )?;
    }
    pause().await;
    s.shows_agent(&agent).await?;
    same(
        "the persona, some time after settling,",
        &s.config(old.id).await?,
        &config,
    )
}

pub(super) async fn a_store_in_use_is_healthy(s: Stage) -> Found {
    s.r.health.check().await?;
    s.room("a").await?;
    Ok(s.r.health.check().await?)
}
