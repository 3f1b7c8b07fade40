//! Laws of what agents remember of owners' rooms.

use std::sync::Arc;

use domain::{AgentId, RecentEvent, UserId};
use futures_util::future::join_all;

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure_eq, ensure_missing},
    law_run::{LawRun, in_tasks},
};

/// More memories than these laws append.
const MANY: usize = 100;

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: "2026-11-30".parse().ok(),
        text: text.to_owned(),
    }
}

fn texts(memories: &[RecentEvent]) -> Vec<&str> {
    memories.iter().map(|event| event.text.as_str()).collect()
}

async fn append(
    run: &LawRun,
    agent: AgentId,
    owner: &UserId,
    text: &str,
) -> Outcome<Arc<[RecentEvent]>> {
    let memories = &run.ports.memories;
    let appended = memories.append(agent, owner.clone(), event(text), MANY);
    Ok(appended.await?)
}

async fn ensure_remembers(
    run: &LawRun,
    agent: AgentId,
    owner: &UserId,
    expected: &[&str],
) -> Outcome {
    let memories = run.ports.memories.list(agent, owner).await?;
    ensure_eq("the memories", &texts(&memories), &expected.to_vec())
}

pub(super) async fn an_agents_memories_of_an_owner_come_oldest_first(run: LawRun) -> Outcome {
    let (agent, owner) = (run.create_agent("a").await?.id, run.owner()?);
    ensure_remembers(&run, agent, &owner, &[]).await?;
    let undated = RecentEvent {
        date: None,
        text: "a 'b'\n하늘".into(),
    };
    let expected = [event("z"), undated, event("a")];
    for (count, event) in expected.iter().enumerate() {
        let memories = &run.ports.memories;
        let appended = memories.append(agent, owner.clone(), event.clone(), MANY);
        ensure_eq("the result", &&*appended.await?, &&expected[..=count])?;
        let listed = memories.list(agent, &owner).await?;
        ensure_eq("the list", &&*listed, &&expected[..=count])?;
    }
    Ok(())
}

pub(super) async fn memories_of_an_owner_are_kept_from_other_owners_and_agents(
    run: LawRun,
) -> Outcome {
    let agents = [
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    ];
    let owners = [run.user("one")?, run.user("two")?];
    append(&run, agents[0], &owners[0], "first of one").await?;
    append(&run, agents[1], &owners[0], "b of one").await?;
    append(&run, agents[0], &owners[0], "second of one").await?;
    ensure_remembers(&run, agents[0], &owners[1], &[]).await?;
    append(&run, agents[0], &owners[1], "of two").await?;
    let of_one = ["first of one", "second of one"];
    ensure_remembers(&run, agents[0], &owners[0], &of_one).await?;
    ensure_remembers(&run, agents[0], &owners[1], &["of two"]).await?;
    ensure_remembers(&run, agents[1], &owners[0], &["b of one"]).await?;
    ensure_remembers(&run, agents[1], &owners[1], &[]).await
}

pub(super) async fn only_the_newest_memories_stay(run: LawRun) -> Outcome {
    let (agent, owner) = (run.create_agent("a").await?.id, run.owner()?);
    let other = run.user("other")?;
    append(&run, agent, &other, "other").await?;
    for text in ["1", "2", "3", "4"] {
        append(&run, agent, &owner, text).await?;
    }
    let memories = &run.ports.memories;
    let kept = memories.append(agent, owner.clone(), event("5"), 2).await?;
    ensure_eq("the result", &texts(&kept), &vec!["4", "5"])?;
    ensure_remembers(&run, agent, &owner, &["4", "5"]).await?;
    ensure_remembers(&run, agent, &other, &["other"]).await
}

pub(super) async fn concurrent_memories_of_an_owner_all_stay(run: LawRun) -> Outcome {
    let (agent, owner) = (run.create_agent("a").await?.id, run.owner()?);
    let other = run.user("other")?;
    let tasks = (0..8).map(|number| {
        let remembered = if number < 6 { &owner } else { &other };
        let (run, remembered) = (run.clone(), remembered.clone());
        async move {
            append(&run, agent, &remembered, &number.to_string())
                .await
                .map(drop)
        }
    });
    for appended in in_tasks(tasks).await? {
        appended?;
    }
    let memories = run.ports.memories.list(agent, &owner).await?;
    let mut found = texts(&memories);
    found.sort_unstable();
    ensure_eq("the memories", &found, &vec!["0", "1", "2", "3", "4", "5"])
}

pub(super) async fn a_deleted_agent_remembers_nothing(run: LawRun) -> Outcome {
    let owner = run.owner()?;
    let (agent, other) = (
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    );
    append(&run, agent, &owner, "x").await?;
    append(&run, other, &owner, "y").await?;
    ensure_remembers(&run, agent, &owner, &["x"]).await?;
    run.ports.agents.delete(agent).await?;
    for absent in [agent, UNKNOWN_AGENT, AgentId(0)] {
        ensure_remembers(&run, absent, &owner, &[]).await?;
        let memories = &run.ports.memories;
        ensure_missing(
            "appending to a missing agent's memories",
            memories
                .append(absent, owner.clone(), event("z"), MANY)
                .await,
        )?;
        ensure_remembers(&run, absent, &owner, &[]).await?;
    }
    ensure_remembers(&run, other, &owner, &["y"]).await
}

pub(super) async fn forgetting_an_owner_leaves_the_others(run: LawRun) -> Outcome {
    let agents = [
        run.create_agent("a").await?.id,
        run.create_agent("b").await?.id,
    ];
    let owners = [run.user("one")?, run.user("two")?];
    for (agent, owner) in [(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)] {
        append(&run, agents[agent], &owners[owner], "x").await?;
    }
    let memories = &run.ports.memories;
    let counts = async || -> Outcome<Vec<usize>> {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let lists = pairs.map(|(agent, owner)| memories.list(agents[agent], &owners[owner]));
        let lists = join_all(lists).await.into_iter();
        Ok(lists
            .map(|list| Ok(list?.len()))
            .collect::<domain::Result<_>>()?)
    };
    ensure_eq(
        "the numbers of memories",
        &counts().await?,
        &vec![2, 1, 1, 1],
    )?;
    let one = memories.forget(owners[0].clone(), Some(agents[0])).await?;
    ensure_eq("the forgotten memories of one agent", &one, &2)?;
    ensure_eq(
        "the numbers of memories",
        &counts().await?,
        &vec![0, 1, 1, 1],
    )?;
    append(&run, agents[0], &owners[0], "y").await?;
    let all = memories.forget(owners[0].clone(), None).await?;
    ensure_eq("the forgotten memories of all agents", &all, &2)?;
    ensure_eq(
        "the numbers of memories",
        &counts().await?,
        &vec![0, 1, 0, 1],
    )?;
    let none = memories.forget(owners[0].clone(), None).await?;
    ensure_eq("the memories that are forgotten again", &none, &0)
}
