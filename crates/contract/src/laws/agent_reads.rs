//! Laws of finding and listing agents.

use domain::{AgentChange, AgentId, GroupName, LIST_LIMIT, NewAgent};

use super::{
    ensure::{Outcome, UNKNOWN_AGENT, ensure, ensure_eq, ensure_missing},
    law_run::LawRun,
};

pub(super) async fn a_created_agent_is_shown_by_every_read(run: LawRun) -> Outcome {
    let group = Some(GroupName::parse("the group")?);
    let new = NewAgent {
        group: group.clone(),
        ..run.new_agent("a")?
    };
    run.ports.agents.list(None, LIST_LIMIT).await?;
    let agent = run.ports.agents.create(new.clone()).await?;
    ensure_eq("the name", &agent.name, &new.name)?;
    ensure_eq("the group", &agent.group, &group)?;
    ensure_eq("the first version", &agent.version, &1)?;
    ensure(agent.is_living(), "a new agent is a tombstone")?;
    ensure(agent.id.0 > 0, "an id is not above 0")?;
    run.ensure_agent_shown(&agent).await?;
    ensure_eq(
        "the persona created with the agent",
        &*run.persona(agent.id).await?,
        &new.config,
    )
}

pub(super) async fn an_agent_looked_up_before_its_creation_is_found(run: LawRun) -> Outcome {
    let last = run.create_agent("last").await?.id.0;
    let guesses: Vec<AgentId> = (1..=8).map(|n| AgentId(last + n)).collect();
    for &guess in &guesses {
        run.ports.agents.find(guess).await?;
        run.ports.configs.find(guess).await?;
    }
    run.ports.agents.find_many(&guesses).await?;
    run.ports.configs.find_many(&guesses).await?;
    for n in 0..3 {
        let agent = run.create_agent(&format!("looked up {n}")).await?;
        run.ensure_agent_shown(&agent).await?;
        run.persona(agent.id).await?;
    }
    Ok(())
}

pub(super) async fn an_unknown_agent_is_absent(run: LawRun) -> Outcome {
    for id in [UNKNOWN_AGENT, AgentId(0), AgentId(-1)] {
        ensure_eq("an unknown agent", &run.ports.agents.find(id).await?, &None)?;
        ensure_eq(
            "an unknown agent among many",
            &run.ports.agents.find_many(&[id]).await?,
            &vec![],
        )?;
        ensure_missing(
            "updating an unknown agent",
            run.ports.agents.update(id, AgentChange::default()).await,
        )?;
        ensure_missing(
            "deleting an unknown agent",
            run.ports.agents.delete(id).await,
        )?;
    }
    Ok(())
}

pub(super) async fn living_agents_are_listed_by_ascending_id(run: LawRun) -> Outcome {
    // The order of the names and the order of the updates differ from the order of the ids.
    let (c, a, b) = (
        run.create_agent("c").await?,
        run.create_agent("a").await?,
        run.create_agent("b").await?,
    );
    run.ports
        .agents
        .update(
            c.id,
            AgentChange {
                priority: Some(1),
                ..AgentChange::default()
            },
        )
        .await?;
    let deleted = run.create_deleted_agent("deleted").await?;
    let list = run.ports.agents.list(None, LIST_LIMIT).await?;
    ensure(
        list.is_sorted_by(|one, next| one.id < next.id),
        "agents are not listed by ascending id, each once",
    )?;
    ensure(
        [&c, &a, &b]
            .iter()
            .all(|agent| list.iter().any(|listed| listed.id == agent.id)),
        "a living agent is not listed",
    )?;
    ensure(
        list.iter()
            .all(|agent| agent.id != deleted.id && agent.is_living()),
        "a deleted agent is listed",
    )
}

pub(super) async fn agents_found_together_come_by_ascending_id_each_once(run: LawRun) -> Outcome {
    let (a, b, c) = (
        run.create_agent("c").await?,
        run.create_agent("a").await?,
        run.create_agent("b").await?,
    );
    run.ports.agents.find(b.id).await?;
    let found = run
        .ports
        .agents
        .find_many(&[c.id, UNKNOWN_AGENT, a.id, c.id, b.id, a.id])
        .await?;
    ensure_eq("the agents found together", &found, &vec![a, b, c])?;
    ensure_eq(
        "the agents of no ids",
        &run.ports.agents.find_many(&[]).await?,
        &vec![],
    )
}

pub(super) async fn agent_ids_are_never_reused(run: LawRun) -> Outcome {
    let deleted = run.create_deleted_agent("a").await?;
    let again = run.create_deleted_agent("a").await?;
    let next = run.create_agent("a").await?;
    ensure(
        deleted.id != again.id && again.id != next.id && deleted.id != next.id,
        "an agent's id was reused",
    )
}
