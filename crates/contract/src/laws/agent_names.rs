//! Laws of agents' names.

use domain::{AgentChange, AgentConfig, AgentName, GroupName, NewAgent};
use futures_util::future::join_all;

use super::{
    ensure::{Outcome, ensure, ensure_conflict, ensure_eq, ensure_some},
    law_run::LawRun,
};

pub(super) async fn a_living_agents_name_is_a_conflict(run: LawRun) -> Outcome {
    let agent = run.create_agent("taken").await?;
    let config = run.persona(agent.id).await?;
    let config_of_other = AgentConfig {
        characteristics: "other".into(),
        ..AgentConfig::default()
    };
    let group = Some(GroupName::parse("another group")?);
    let again = NewAgent {
        config: config_of_other,
        group,
        ..run.new_agent("taken")?
    };
    ensure_conflict(
        "creating an agent with a living one's name",
        run.ports.agents.create(again).await,
    )?;
    run.ensure_agent_shown(&agent).await?;
    ensure_eq(
        "the persona of the name's holder",
        &run.persona(agent.id).await?,
        &config,
    )?;
    let count = run.count_agents_named(&agent.name).await?;
    ensure_eq("the number of agents with the name", &count, &1)
}

pub(super) async fn a_name_that_collides_with_a_living_agents_name_is_a_conflict(
    run: LawRun,
) -> Outcome {
    let agent = run.create_agent("Zoë").await?;
    for alike in [
        agent.name.as_str().to_uppercase(),
        agent.name.as_str().replace('ë', "e\u{308}"),
        format!("{}\u{200D}", agent.name),
    ] {
        let name = AgentName::parse(&alike)?;
        let new = NewAgent {
            name: name.clone(),
            ..run.new_agent("other")?
        };
        ensure_conflict(
            "creating an agent with a colliding name",
            run.ports.agents.create(new).await,
        )?;
        let other = run.create_agent("other").await?;
        let renamed = AgentChange {
            name: Some(name),
            ..AgentChange::default()
        };
        ensure_conflict(
            "renaming an agent to a colliding name",
            run.ports.agents.update(other.id, renamed).await,
        )?;
        run.ports.agents.delete(other.id).await?;
    }
    run.ensure_agent_shown(&agent).await
}

pub(super) async fn a_deleted_agents_name_is_free(run: LawRun) -> Outcome {
    let deleted = run.create_deleted_agent("a").await?;
    let agent = run.create_agent("a").await?;
    ensure(
        agent.id != deleted.id,
        "a deleted agent was revived under its name",
    )?;
    ensure_eq("the version of the new agent", &agent.version, &1)?;
    run.ensure_agent_shown(&agent).await?;
    ensure_eq(
        "the deleted agent",
        &run.ports.agents.find(deleted.id).await?,
        &None,
    )?;
    let other = run.create_agent("b").await?;
    run.ports.agents.delete(agent.id).await?;
    let renamed = AgentChange {
        name: Some(deleted.name.clone()),
        ..AgentChange::default()
    };
    run.ensure_agent_shown(&run.ports.agents.update(other.id, renamed).await?)
        .await
}

pub(super) async fn of_concurrent_creates_with_one_name_one_succeeds(run: LawRun) -> Outcome {
    let new = run.new_agent("wanted")?;
    let outcomes = join_all((0..6).map(|_| run.ports.agents.create(new.clone()))).await;
    let mut created = None;
    for outcome in outcomes {
        match outcome {
            Ok(agent) if created.is_none() => created = Some(agent),
            Ok(_) => ensure(false, "two agents were created with one name")?,
            other => ensure_conflict("creating an agent that a concurrent call created", other)?,
        }
    }
    let agent = ensure_some("the one created agent", created)?;
    run.ensure_agent_shown(&agent).await?;
    let count = run.count_agents_named(&agent.name).await?;
    ensure_eq("the number of agents with the name", &count, &1)
}

pub(super) async fn an_agents_own_name_is_no_conflict(run: LawRun) -> Outcome {
    let agent = run.create_agent("a").await?;
    let change = AgentChange {
        name: Some(agent.name.clone()),
        priority: Some(4),
        ..AgentChange::default()
    };
    let updated = run.ports.agents.update(agent.id, change).await?;
    ensure_eq("the name", &updated.name, &agent.name)?;
    ensure_eq("the file", &updated.config_file, &agent.config_file)?;
    run.ensure_agent_shown(&updated).await?;
    ensure_eq("the priority", &run.persona(agent.id).await?.priority, &4)
}

pub(super) async fn a_renamed_agents_old_name_is_free(run: LawRun) -> Outcome {
    let agent = run.create_agent("old").await?;
    run.ensure_agent_shown(&agent).await?;
    let config = run.persona(agent.id).await?;
    let change = AgentChange {
        name: Some(run.agent_name("new")?),
        ..AgentChange::default()
    };
    let renamed = run.ports.agents.update(agent.id, change).await?;
    ensure(
        renamed.config_file != agent.config_file,
        "a renamed agent's file kept its path",
    )?;
    run.ensure_agent_shown(&renamed).await?;
    let successor = run.create_agent("old").await?;
    run.ensure_agent_shown(&successor).await?;
    run.ensure_agent_shown(&renamed).await?;
    ensure_eq(
        "the persona of the renamed agent",
        &run.persona(renamed.id).await?,
        &config,
    )
}

pub(super) async fn an_agent_is_found_by_its_current_name(run: LawRun) -> Outcome {
    let agents = &run.ports.agents;
    let (old, new) = (run.agent_name("a")?, run.agent_name("b")?);
    ensure_eq(
        "the agent before its creation",
        &agents.find_named(&old).await?,
        &None,
    )?;
    let agent = run.create_agent("a").await?;
    let other = run.create_agent("other").await?;
    ensure_eq(
        "the agent of this name",
        &agents.find_named(&old).await?,
        &Some(agent.clone()),
    )?;
    let change = AgentChange {
        name: Some(new.clone()),
        ..AgentChange::default()
    };
    let renamed = agents.update(agent.id, change).await?;
    ensure_eq(
        "the agent of the old name",
        &agents.find_named(&old).await?,
        &None,
    )?;
    ensure_eq(
        "the agent of the new name",
        &agents.find_named(&new).await?,
        &Some(renamed),
    )?;
    agents.delete(agent.id).await?;
    ensure_eq("a deleted agent", &agents.find_named(&new).await?, &None)?;
    ensure_eq(
        "another agent",
        &agents.find_named(&other.name).await?,
        &Some(other.clone()),
    )
}
